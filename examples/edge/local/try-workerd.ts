/** Starts the Worker, and a subscriber that refuses every third request. */
import { startSubscriber } from './subscriber.ts'

startSubscriber()
await import('./serve.ts')
