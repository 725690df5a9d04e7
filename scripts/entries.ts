/**
 * The published entry points, read from `exports` in package.json: the one list that the bundler, the gates and the
 * API docs share, so that none of them can know an entry that the others do not.
 */
import { readFileSync } from 'node:fs'

export interface Entry {
  /** As in package.json: `.` or `./memory`. */
  readonly name: string
  /** `dist/drivers/memory.js` */
  readonly dist: string
  /** `src/drivers/memory.ts` */
  readonly source: string
}

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly exports: Record<string, string>
  readonly bin: Record<string, string>
  readonly peerDependencies: Record<string, string>
}

export const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Manifest

/** The sources of the programs, read from `bin`. */
export const programs: readonly string[] = Object.values(manifest.bin).map((target) =>
  target.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts'),
)

export const entries: readonly Entry[] = Object.entries(manifest.exports)
  .filter(([name]) => name !== './package.json')
  .map(([name, target]) => {
    const path = /^\.\/dist\/([\w/-]+)\.js$/.exec(target)?.[1]
    if (!path) throw new Error(`The export ${name} must be one file ./dist/….js, received ${JSON.stringify(target)}`)
    return { name, dist: `dist/${path}.js`, source: `src/${path}.ts` }
  })
