/**
 * The Worker in a workerd of this machine, as `wrangler.jsonc` describes it. `wrangler dev` does the same where there is
 * a wrangler; this takes what the repository has, and lets tests say where the data is.
 */
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { Miniflare, type MiniflareOptions } from 'miniflare'
import ts from 'typescript'

const EXAMPLE = resolve(import.meta.dirname, '..')

/** The used part of the configuration. */
interface Configuration {
  readonly main: string
  readonly compatibility_date: string
  readonly vars: Readonly<Record<string, string>>
  readonly durable_objects: { readonly bindings: readonly { readonly name: string; readonly class_name: string }[] }
  readonly d1_databases: readonly { readonly binding: string; readonly database_id: string }[]
}

/** Options of {@link startWorkerd}. */
export interface LocalOptions {
  /** The port on 127.0.0.1; 0 takes any free port. */
  readonly port: number
  /** The directory of the stored data. */
  readonly data: string
  /** Variables that add to those of the configuration, or replace them. */
  readonly vars: Readonly<Record<string, string>>
}

/** Bundles the Worker and starts it. */
export async function startWorkerd({ port, data, vars }: LocalOptions): Promise<Miniflare> {
  // The file is JSON with comments, which TypeScript can parse.
  const { config } = ts.readConfigFile(join(EXAMPLE, 'wrangler.jsonc'), ts.sys.readFile)
  const configuration = config as Configuration
  const { outputFiles } = await build({
    entryPoints: [join(EXAMPLE, configuration.main)],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*'],
  })
  const options: MiniflareOptions = {
    host: '127.0.0.1',
    port,
    modules: true,
    script: outputFiles[0]!.text,
    compatibilityDate: configuration.compatibility_date,
    bindings: { ...configuration.vars, ...vars },
    durableObjects: Object.fromEntries(
      configuration.durable_objects.bindings.map(({ name, class_name: className }) => [
        name,
        { className, useSQLite: true },
      ]),
    ),
    durableObjectsPersist: join(data, 'objects'),
    d1Databases: Object.fromEntries(configuration.d1_databases.map((it) => [it.binding, it.database_id])),
    d1Persist: join(data, 'd1'),
  }
  const worker = new Miniflare(options)
  await worker.ready
  return worker
}
