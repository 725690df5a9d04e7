/** The application in Deno, and a subscriber that takes most of what it is sent. */
import './subscriber.ts'
import '../src/deno.ts'
