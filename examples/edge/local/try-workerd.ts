/** The Worker, and a subscriber that takes most of what it is sent. */
import './subscriber.ts'
import './serve.ts'
