/** Cold imports: each entry in processes of its own. @module */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { entries, manifest } from '../../scripts/entries.ts'
import { figure } from '../measure.ts'
import type { ImportRow } from './report.ts'

/** For Bun, and for what is no part of a program. */
const ELSEWHERE = ['./bun-sqlite', './testing', './dev']
/** Node has it from 22.5 on. */
const isHere = (name: string): boolean =>
  !ELSEWHERE.includes(name) && (name !== './node-sqlite' || process.getBuiltinModule('node:sqlite') !== undefined)

const run = promisify(execFile)

async function timeOf(specifier: string): Promise<number> {
  const program = `const start = performance.now()
    await import(${JSON.stringify(specifier)})
    console.log(performance.now() - start)`
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program])
  return Number(stdout)
}

/** @param rounds - of all entries, one after the other; the first, which fills the disk's cache, is left out */
export async function measureImports(rounds: number): Promise<ImportRow[]> {
  const names = entries.map(({ name }) => name).filter(isHere)
  const times = new Map<string, number[]>(names.map((name) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const [name, found] of times) {
      const time = await timeOf(name.replace('.', manifest.name))
      if (round > 0) found.push(time)
    }
  }
  return [...times].map(([name, found]) => ({
    entry: name.replace('.', manifest.name),
    milliseconds: figure(found),
  }))
}
