import { resolve } from 'node:path'
import { defineConfig } from 'vite'
import { precache } from './vite/precache.ts'
import { reports } from './vite/reports.ts'

const WORKER = 'service-worker.js'
const at = (path: string): string => resolve(import.meta.dirname, path)

export default defineConfig({
  root: import.meta.dirname,
  // Relative addresses, so that the site works in any folder.
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
        // The service worker keeps its name, because the browser looks for updates under that name.
        entryFileNames: (chunk) => (chunk.name === 'service-worker' ? WORKER : 'assets/[name]-[hash].js'),
      },
    },
  },
})
