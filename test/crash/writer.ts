/**
 * Writes until it is killed: several writers at once over one database, and a line on the standard output after every
 * acknowledgement. The lines go to a file, by a synchronous write, and so outlive the process.
 */
import { writeSync } from 'node:fs'
import { createHoldfast } from '../../src/holdfast.ts'
import { engineNamed } from '../support/engines.ts'
import type { Order } from './content.ts'
import { writeOn } from './effects.ts'

const { engine, path, mode, next } = JSON.parse(process.argv[2]!) as Order
const driver = await engineNamed(engine).make(path)

await writeOn({
  holdfast: createHoldfast({ driver, durability: 'strict' }),
  mode,
  next,
  acknowledge: (ack) => void writeSync(1, `${JSON.stringify(ack)}\n`),
  die: () => void process.kill(process.pid, 'SIGKILL'),
})
