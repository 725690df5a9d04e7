/**
 * Runs the tests of vendors against the local servers that stand in for their services.
 *
 * Usage: npm run test:vendors -- CLONE…    (clones of upstash/redis-js and neondatabase/serverless)
 *
 * A copy is made of what is committed there, below build/, where it finds our dependencies. Fails where a test fails
 * that is no known exception, and where a known exception no longer fails.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { EXCEPTIONS } from './exceptions.ts'
import { neonServerless } from './neon.ts'
import type { Result, Vendor } from './result.ts'
import { upstashRedis } from './upstash.ts'

const VENDORS: readonly Vendor[] = [upstashRedis, neonServerless]
const BUILD = resolve(import.meta.dirname, '../../build/vendors')
const MOST_BYTES = 2 ** 28

const git = (clone: string, ...args: string[]): Buffer =>
  execFileSync('git', ['-C', clone, ...args], { maxBuffer: MOST_BYTES, stdio: ['ignore', 'pipe', 'ignore'] })

function vendorOf(clone: string): Vendor {
  const found = VENDORS.find(({ name, manifest }) => {
    try {
      return (JSON.parse(git(clone, 'show', `HEAD:${manifest}`).toString()) as { name: string }).name === name
    } catch {
      return false
    }
  })
  if (found) return found
  throw new Error(`${clone} is no clone of ${VENDORS.map(({ name }) => name).join(' or ')}`)
}

function copyOf(clone: string, { name }: Vendor): string {
  const directory = join(BUILD, name.replace(/\W+/g, '-'))
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  execFileSync('tar', ['-x', '-C', directory], { input: git(clone, 'archive', 'HEAD') })
  return directory
}

/** Says what became of the tests; whether it is what was expected. */
function report({ name }: Vendor, commit: string, results: readonly Result[]): boolean {
  const known = EXCEPTIONS.filter(({ vendor }) => vendor === name)
  const left = new Set(results.filter(({ outcome }) => outcome === 'failed'))
  const count = (outcome: Result['outcome']): number => results.filter((it) => it.outcome === outcome).length
  console.log(`\n${name} at ${commit}: ${count('passed')} passed, ${left.size} failed, ${count('skipped')} skipped`)
  let isExpected = count('passed') > 0
  for (const { file, test, reason } of known) {
    const explained = [...left].filter((it) => file.test(it.file) && (test?.test(it.test) ?? true))
    for (const it of explained) left.delete(it)
    console.log(`  ${String(explained.length).padStart(4)} failed as expected: ${reason}`)
    if (explained.length > 0) continue
    console.log('       none does: take it off the list')
    isExpected = false
  }
  for (const { file, test } of left) console.log(`  FAILED ${file}: ${test}`)
  for (const { file, test } of results.filter((it) => it.outcome === 'skipped')) {
    console.log(`  skipped by themselves: ${file}: ${test}`)
  }
  return isExpected && left.size === 0
}

const clones = process.argv.slice(2)
if (clones.length === 0) throw new Error('Usage: npm run test:vendors -- CLONE…')
for (const clone of clones) {
  const vendor = vendorOf(clone)
  const results = await vendor.run(copyOf(clone, vendor))
  if (!report(vendor, git(clone, 'rev-parse', '--short', 'HEAD').toString().trim(), results)) process.exitCode = 1
}
