/** A workerd with Workers of ours in it. */
import { basename, dirname } from 'node:path'
import { build } from 'esbuild'
import { Miniflare, type MiniflareOptions, type WorkerOptions } from 'miniflare'

/** What is said of a Worker, beside its code. */
export type Settings = Partial<WorkerOptions>

/** Bundles the Worker in a file, given by its absolute path, whose `fetch` is its own. */
export async function workerOf(file: string, objects: readonly string[], settings: Settings): Promise<WorkerOptions> {
  const { outputFiles } = await build({
    stdin: {
      contents: `export { ${objects.join(', ')} } from './${basename(file)}'; import { fetch } from './${basename(file)}'; export default { fetch }`,
      resolveDir: dirname(file),
    },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker'],
    external: ['cloudflare:*'],
  })
  return { modules: true, script: outputFiles[0]!.text, compatibilityDate: '2026-04-01', ...settings } as WorkerOptions
}

/** Starts Workers, of which the first answers; nothing is kept on disk unless what they share says where. */
export async function startWorkers(
  workers: readonly WorkerOptions[],
  shared: Partial<MiniflareOptions> = {},
): Promise<Miniflare> {
  const worker = new Miniflare({ host: '127.0.0.1', workers: [...workers], ...shared } as MiniflareOptions)
  await worker.ready
  return worker
}
