/** The commands of `holdfast`, put together. @module */
import { Command } from './libraries.ts'
import { examples } from './command.ts'
import { addBenchCommand } from './commands/bench.ts'
import { addCareCommands } from './commands/care.ts'
import { addDevCommand } from './commands/dev.ts'
import { addReplayCommand } from './commands/replay.ts'
import { addRunCommands } from './commands/runs.ts'
import { addSetupCommands } from './commands/setup.ts'
import { addSignalCommands } from './commands/signals.ts'
import { addTransferCommands } from './commands/transfer.ts'
import { addValueCommands } from './commands/values.ts'
import { SCHEMES } from './stores.ts'

/** Makes the program; commander's own exits are thrown. */
export function makeProgram(version: string): Command {
  const urls = Object.values(SCHEMES).map(({ example }) => example)
  const program = new Command('holdfast')
    .description('Look after stores of holdfast: runs, values, retention, backups')
    .version(version)
    .option('-s, --store <url>', `the store, such as ${urls.join(', ')}; HOLDFAST_URL by default`)
    .option('-t, --tenant <id>', 'whose runs and values')
    .option('--json', 'print JSON; of lists one object a line')
    .option('-y, --yes', 'do not ask before something is destroyed')
    .addHelpText('after', examples('runs --store sqlite:./app.db', 'backup nightly.ndjson.gz', 'doctor'))
    .exitOverride()
    // The errors are thrown, and printed like all others.
    .configureOutput({ outputError() {} })
  addRunCommands(program)
  addReplayCommand(program)
  addValueCommands(program)
  addSignalCommands(program)
  addCareCommands(program)
  addTransferCommands(program)
  addBenchCommand(program)
  addSetupCommands(program)
  addDevCommand(program)
  return program
}
