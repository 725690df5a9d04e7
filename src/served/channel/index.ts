/**
 * Serves a driver over a message port and uses it from the other end: from the page to its worker, from every tab to a
 * shared worker, from the renderer to the main process.
 *
 * @module
 */
export { type ConnectOptions, connect } from './connect.ts'
export type { Port } from './port.ts'
export { type ServeOptions, type Served, serve } from './serve.ts'
