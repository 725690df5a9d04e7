/** Plugins of the build for the libraries that the command line bundles, see `src/cli/libraries.ts`. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { UserConfig } from 'tsdown'

type Plugin = Extract<UserConfig['plugins'], { name: string }>

/** The one source file that imports the libraries. */
export const LIBRARIES = 'src/cli/libraries.ts'

/** Leaves the libraries out of a build: they are built by another. */
export const librariesApart = (): Plugin => ({
  name: 'libraries-apart',
  resolveId(specifier, importer) {
    if (importer === undefined || resolve(dirname(importer), specifier) !== resolve(LIBRARIES)) return undefined
    return { id: resolve(LIBRARIES.replace(/\.ts$/, '.js')), external: 'relative' }
  },
})

/** Writes the licences of all packages in the bundle beside it, and fails if one has none. */
export const withLicences = (fileName: string): Plugin => ({
  name: 'with-licences',
  generateBundle() {
    const folders = [...this.getModuleIds()].flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id) ?? [])
    const source = [...new Set(folders)].sort().map(licenceOf).join('\n')
    this.emitFile({ type: 'asset', fileName, source })
  },
})

function licenceOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly name: string
    readonly version: string
    readonly license: string
  }
  const file = readdirSync(folder).find((candidate) => /^licen[cs]e/i.test(candidate))
  if (file === undefined || !existsSync(join(folder, file))) throw new Error(`${name} has no licence file`)
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n\n${'-'.repeat(80)}\n`
}
