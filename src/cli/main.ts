#!/usr/bin/env node
/** The command line. See docs/operations.md. @module */
import { readFileSync } from 'node:fs'
import { CommanderError } from './libraries.ts'
import { EXIT, endingOf } from './failures.ts'
import { makeProgram } from './program.ts'

/** Commands that only show something. Their reader may stop early, as in `holdfast runs | head`. */
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

/** The running command; absent for help and the version. */
let command: string | undefined
let isUnread = false

function onBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  if (command === undefined || SHOWING.has(command)) process.exit(EXIT.ok)
  // Other commands run to their end, so that no repair stops half way.
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
  // A client may still wait for a server that does not answer. Exit once all output is written.
  if (command === 'doctor') process.stdout.write('', () => process.exit())
} catch (error) {
  // Commander has printed the help or the version.
  if (error instanceof CommanderError && error.exitCode === 0) process.exitCode = EXIT.ok
  else if (error instanceof CommanderError && error.code === 'commander.help') process.exitCode = EXIT.usage
  else {
    const { exit, code, message, advice } = endingOf(error)
    const text = `${message}${advice === undefined ? '' : `. ${advice}`}`
    process.stderr.write(
      `${process.argv.includes('--json') ? JSON.stringify({ error: { code, message, advice } }) : text}\n`,
    )
    process.exitCode = exit
    // A client that waits for an answer would keep the process running.
    if (code === 'TIMEOUT') process.exit()
  }
}
