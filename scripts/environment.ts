/** The environment of what the scripts start. */
import { join } from 'node:path'

/** Finds the programs of the development dependencies; without colours where nobody watches. */
export const environment = (more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  ...(!process.stdout.isTTY && { NO_COLOR: '1' }),
  ...more,
  PATH: `${join(import.meta.dirname, '../node_modules/.bin')}:${process.env['PATH']}`,
})
