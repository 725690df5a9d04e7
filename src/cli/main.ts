#!/usr/bin/env node
/** The command line: docs/operations.md tells of it. @module */
import { readFileSync } from 'node:fs'
import { CommanderError } from 'commander'
import { EXIT, endingOf } from './failures.ts'
import { makeProgram } from './program.ts'

// Whoever reads may have seen enough: `holdfast runs | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok)
  throw error
})

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
try {
  await makeProgram(manifest.version).parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage
  else {
    const { exit, code, message, advice } = endingOf(error)
    const text = `${message}${advice === undefined ? '' : `. ${advice}`}`
    process.stderr.write(
      `${process.argv.includes('--json') ? JSON.stringify({ error: { code, message, advice } }) : text}\n`,
    )
    process.exitCode = exit
  }
}
