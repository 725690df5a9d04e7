/**
 * A driver served over HTTP by a fetch handler, and used from elsewhere: tenants are kept apart, and a commit whose
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
