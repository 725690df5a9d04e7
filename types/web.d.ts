/**
 * The globals that every target has: browsers, workers, Node, Deno, Bun, workerd. The portable sources are compiled
 * against these and nothing else, so code that needs one host does not compile. Add a member when it is used, after
 * checking that all of them have it.
 */

declare class AbortSignal {
  static abort(reason?: unknown): AbortSignal
  static timeout(milliseconds: number): AbortSignal
  readonly aborted: boolean
  readonly reason: unknown
  throwIfAborted(): void
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean; signal?: AbortSignal }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

declare class AbortController {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
}

declare class TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>
  encodeInto(text: string, target: Uint8Array): { read: number; written: number }
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(bytes?: ArrayBuffer | ArrayBufferView, options?: { stream?: boolean }): string
}

declare const console: { error(...data: unknown[]): void }

declare const crypto: {
  getRandomValues<T extends ArrayBufferView>(array: T): T
  randomUUID(): `${string}-${string}-${string}-${string}-${string}`
  /** Not in pages that came over plain HTTP. */
  readonly subtle?: SubtleCrypto
}

interface AesGcm {
  readonly name: 'AES-GCM'
  readonly iv: Uint8Array
  readonly additionalData: Uint8Array
}

interface AesCtr {
  readonly name: 'AES-CTR'
  readonly counter: Uint8Array
  readonly length: number
}

interface Hkdf {
  readonly name: 'HKDF'
  readonly hash: 'SHA-256'
  readonly salt: Uint8Array
  readonly info: Uint8Array
}

interface CryptoKey {
  readonly type: string
  readonly usages: readonly string[]
  readonly algorithm: { readonly name: string }
}

interface SubtleCrypto {
  digest(algorithm: 'SHA-256', data: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer>
  importKey(
    format: 'raw',
    key: Uint8Array | ArrayBuffer,
    algorithm: 'AES-GCM' | 'AES-CTR' | 'HKDF' | { readonly name: 'HMAC'; readonly hash: 'SHA-256' },
    extractable: boolean,
    usages: readonly ('encrypt' | 'decrypt' | 'sign' | 'deriveBits')[],
  ): Promise<CryptoKey>
  deriveBits(algorithm: Hkdf, key: CryptoKey, length: number): Promise<ArrayBuffer>
  encrypt(algorithm: AesGcm | AesCtr, key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer>
  decrypt(algorithm: AesGcm | AesCtr, key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer>
  sign(algorithm: 'HMAC', key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer>
}

/** What both compression streams have; a chunk that is written waits until it is read. */
declare class CompressionStream {
  constructor(format: 'deflate')
  readonly readable: ReadableStream
  readonly writable: WritableStream
}

declare class DecompressionStream {
  constructor(format: 'deflate')
  readonly readable: ReadableStream
  readonly writable: WritableStream
}

interface ReadableStream {
  getReader(): { read(): Promise<{ done: boolean; value?: Uint8Array }>; cancel(): Promise<void> }
}

interface WritableStream {
  getWriter(): { write(chunk: Uint8Array): Promise<void>; close(): Promise<void> }
}

declare const performance: { now(): number }

/** A number in browsers, an object in Node: to be handed back to `clearTimeout`, nothing else. */
declare function setTimeout(callback: () => void, milliseconds?: number): { readonly timer: unique symbol }
declare function clearTimeout(timer: ReturnType<typeof setTimeout>): void
/** Not in browsers. */
declare var setImmediate: ((callback: () => void) => unknown) | undefined
// oxlint-disable-next-line no-var -- Workers have it by a compatibility flag only
declare var MessageChannel:
  | (new () => {
      readonly port1: { addEventListener(type: 'message', listener: () => void): void; start(): void }
      readonly port2: { postMessage(message: null): void }
    })
  | undefined
declare function queueMicrotask(callback: () => void): void
declare function structuredClone<T>(value: T): T
declare function btoa(binary: string): string
declare function atob(base64: string): string

declare class Headers {
  get(name: string): string | null
}

declare class Request {
  readonly method: string
  readonly headers: Headers
  arrayBuffer(): Promise<ArrayBuffer>
  readonly body: {
    getReader(): {
      read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array }>
      cancel(): Promise<void>
    }
  } | null
  readonly signal: AbortSignal
}

declare class Response {
  constructor(body: Uint8Array<ArrayBuffer>, init: { status: number; headers: Record<string, string> })
  readonly status: number
  readonly headers: Headers
  arrayBuffer(): Promise<ArrayBuffer>
}

declare function fetch(
  url: string,
  init: {
    method: string
    headers: Record<string, string>
    body?: Uint8Array<ArrayBuffer>
    signal: AbortSignal
  },
): Promise<Response>
