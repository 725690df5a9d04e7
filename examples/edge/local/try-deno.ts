/** The application in Deno, and a subscriber that takes most of what it is sent. */
import { startSubscriber } from './subscriber.ts'

startSubscriber()
await import('../src/deno.ts')
