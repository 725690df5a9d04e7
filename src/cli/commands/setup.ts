/** The commands `init` and `completion`. @module */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Argument, type Command, Option } from '../libraries.ts'
import { type Context, action, examples } from '../command.ts'
import { completionFor } from '../completion.ts'
import { EXIT, Failure } from '../failures.ts'
import { STARTERS } from '../starters.ts'

/** Adds the commands for setting up. */
export function addSetupCommands(program: Command): void {
  program
    .command('init')
    .argument('[directory]', 'where to write it', '.')
    .description('write a small program to start from')
    .addOption(new Option('--for <platform>', 'where the program runs').choices(Object.keys(STARTERS)).default('node'))
    .addHelpText('after', examples('init', 'init my-worker --for worker'))
    .action(action(init))
  program
    .command('completion')
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .description('print a completion script')
    .addHelpText('after', examples('completion bash > /etc/bash_completion.d/holdfast'))
    .action(action(async ({ terminal }, [shell]) => terminal.line(completionFor(shell!, program))))
}

async function init({ terminal }: Context, [directory]: readonly string[], options: { readonly for: string }) {
  const files = Object.entries(STARTERS[options.for]!).map(([name, text]) => ({ path: join(directory!, name), text }))
  const taken = files.find(({ path }) => existsSync(path))
  if (taken)
    throw new Failure(EXIT.refused, `The file ${taken.path} exists`, 'Nothing was written; name another directory')
  await mkdir(directory!, { recursive: true })
  for (const { path, text } of files) await writeFile(path, text, { flag: 'wx' })
  terminal.result({ files: files.map(({ path }) => path) }, () => files.map(({ path }) => `Wrote ${path}`).join('\n'))
}
