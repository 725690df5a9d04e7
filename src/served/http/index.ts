/**
 * Serves a driver over HTTP with a fetch handler, and uses it from elsewhere. Tenants are isolated, and a commit whose
 * answer was lost takes effect once.
 *
 * @module
 */
export { type Admission, type Handler, type HandlerOptions, createHandler } from './handler.ts'
export {
  type RemoteCapabilities,
  type RemoteOptions,
  type RemoteRequest,
  type RemoteResponse,
  remote,
} from './remote.ts'
