/** Starts the application in Deno, and a subscriber that refuses every third request. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import process from 'node:process'
import { startSubscriber } from './subscriber.ts'

mkdirSync(dirname(process.env['DATA'] ?? '.'), { recursive: true })
startSubscriber()
await import('../src/deno.ts')
