import { resolve } from 'node:path'
import { defineConfig } from 'vite'
import { precache } from './vite/precache.ts'
import { reports } from './vite/reports.ts'

const WORKER = 'service-worker.js'
const at = (path: string): string => resolve(import.meta.dirname, path)

export default defineConfig({
  root: import.meta.dirname,
  // Works in any folder of a site.
  base: './',
  plugins: [precache(WORKER), reports()],
  server: { host: '127.0.0.1' },
  preview: { host: '127.0.0.1' },
  build: {
    target: 'es2022',
    outDir: at('../../build/examples/browser'),
    emptyOutDir: true,
    rollupOptions: {
      input: { page: at('index.html'), 'service-worker': at('src/service-worker.ts') },
      output: {
        // The browser asks for it again by this name.
        entryFileNames: (chunk) => (chunk.name === 'service-worker' ? WORKER : 'assets/[name]-[hash].js'),
      },
    },
  },
})
