/** A workerd with a Worker of ours in it. */
import { build } from 'esbuild'
import { Miniflare, type MiniflareOptions } from 'miniflare'

/** Bundles the Worker and starts it; nothing is kept on disk. */
export async function startWorker(options: Partial<MiniflareOptions>): Promise<Miniflare> {
  const { outputFiles } = await build({
    stdin: {
      contents: `export { SuiteObject, worker as default } from './worker.ts'`,
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker'],
  })
  return new Miniflare({
    host: '127.0.0.1',
    modules: true,
    script: outputFiles[0]!.text,
    compatibilityDate: '2026-06-01',
    ...options,
  } as MiniflareOptions)
}
