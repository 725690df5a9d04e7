/** A workerd with Workers of ours in it. */
import { build } from 'esbuild'
import { Miniflare, type MiniflareOptions, type WorkerOptions } from 'miniflare'

/** What is said of a Worker, beside its code. */
export type Settings = Partial<WorkerOptions>

/** Bundles the Worker in a file of this folder, whose `fetch` is its own. */
export async function workerOf(file: string, objects: readonly string[], settings: Settings): Promise<WorkerOptions> {
  const { outputFiles } = await build({
    stdin: {
      contents: `export { ${objects.join(', ')} } from './${file}'; import { fetch } from './${file}'; export default { fetch }`,
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker'],
    external: ['cloudflare:*'],
  })
  return { modules: true, script: outputFiles[0]!.text, compatibilityDate: '2026-06-01', ...settings } as WorkerOptions
}

/** Starts Workers, of which the first answers; nothing is kept on disk. */
export async function startWorkers(workers: readonly WorkerOptions[]): Promise<Miniflare> {
  const worker = new Miniflare({ host: '127.0.0.1', workers: [...workers] } as MiniflareOptions)
  await worker.ready
  return worker
}
