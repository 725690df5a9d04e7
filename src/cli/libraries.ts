/**
 * The libraries of the command line. The build bundles them into `dist/cli/libraries.js`, so that the package has no
 * dependencies. Nothing else may import them.
 * @module
 */
export { SingleBar } from 'cli-progress'
export { default as Table } from 'cli-table3'
export { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander'
