/** The `holdfast` program and its commands. @module */
import { Command } from './libraries.ts'
import { examples } from './command.ts'
import { addBenchCommand } from './commands/bench.ts'
import { addMaintenanceCommands } from './commands/maintenance.ts'
import { addDevCommand } from './commands/dev.ts'
import { addReplayCommand } from './commands/replay.ts'
import { addRunCommands } from './commands/runs.ts'
import { addSetupCommands } from './commands/setup.ts'
import { addSignalCommands } from './commands/signals.ts'
import { addTransferCommands } from './commands/transfer.ts'
import { addValueCommands } from './commands/values.ts'
import { SCHEMES } from './stores.ts'

/** Creates the program. Commander throws instead of exiting. */
export function makeProgram(version: string): Command {
  const urls = Object.values(SCHEMES).map(({ example }) => example)
  const program = new Command('holdfast')
    .description('Look after holdfast stores: runs, values, retention, backups')
    .version(version)
    .option('-s, --store <url>', `the store, for example ${urls.join(', ')}; defaults to HOLDFAST_URL`)
    .option('-t, --tenant <id>', 'the tenant of the runs and values')
    .option('--json', 'print JSON, one object per line for lists')
    .option('-y, --yes', 'do not ask before something is deleted or overwritten')
    .addHelpText('after', examples('runs --store sqlite:./app.db', 'backup nightly.ndjson.gz', 'doctor'))
    .exitOverride()
    // Errors are thrown, so main prints them like all others.
    .configureOutput({ outputError() {} })
  addRunCommands(program)
  addReplayCommand(program)
  addValueCommands(program)
  addSignalCommands(program)
  addMaintenanceCommands(program)
  addTransferCommands(program)
  addBenchCommand(program)
  addSetupCommands(program)
  addDevCommand(program)
  return program
}
