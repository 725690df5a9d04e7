#!/usr/bin/env node
/** The command line: docs/operations.md tells of it. @module */
import { readFileSync } from 'node:fs'
import { CommanderError } from './libraries.ts'
import { EXIT, endingOf } from './failures.ts'
import { makeProgram } from './program.ts'

/** What only shows something: whoever reads may have seen enough, as in `holdfast runs | head`. */
const SHOWING: ReadonlySet<string> = new Set([
  'runs',
  'show',
  'events',
  'get',
  'stats',
  'doctor',
  'bench',
  'completion',
])

/** The command under way; none yet for help and the version. */
let command: string | undefined
let isUnread = false

function onBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  if (command === undefined || SHOWING.has(command)) process.exit(EXIT.ok)
  // Others come to their end all the same: no repair, say, is left half-way.
  isUnread = true
}
process.stdout.on('error', onBrokenPipe)
process.stderr.on('error', onBrokenPipe)
process.on('exit', () => {
  if (isUnread) process.exitCode ||= EXIT.unread
})

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
try {
  const program = makeProgram(manifest.version)
  program.hook('preAction', (_, running) => void (command = running.name()))
  await program.parseAsync()
  // What it could not reach, a client may still be asking; all that was found is written first.
  if (command === 'doctor') process.stdout.write('', () => process.exit())
} catch (error) {
  // Help and the version have been printed.
  if (error instanceof CommanderError && error.exitCode === 0) process.exitCode = EXIT.ok
  else if (error instanceof CommanderError && error.code === 'commander.help') process.exitCode = EXIT.usage
  else {
    const { exit, code, message, advice } = endingOf(error)
    const text = `${message}${advice === undefined ? '' : `. ${advice}`}`
    process.stderr.write(
      `${process.argv.includes('--json') ? JSON.stringify({ error: { code, message, advice } }) : text}\n`,
    )
    process.exitCode = exit
    // A client that still waits for what does not answer would hold the process.
    if (code === 'TIMEOUT') process.exit()
  }
}
