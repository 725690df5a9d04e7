/** A TCP proxy that delays what passes, so that all clients, whatever they speak, have the same way to go. */
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'

/** A proxy in front of one port. */
export interface Proxy {
  readonly port: number
  /** Milliseconds of a round trip that it adds; half of it each way. */
  setLatency(milliseconds: number): void
  close(): void
}

/** Listens on a free port of 127.0.0.1 for that one. */
export async function proxyTo(target: number): Promise<Proxy> {
  let latency = 0
  const sockets = new Set<Socket>()

  /** Passes on in order, each piece after its time. */
  function pass(from: Socket, to: Socket): void {
    sockets.add(from)
    from.setNoDelay(true)
    from.on('data', (piece) => delayed(() => void to.write(piece)))
    from.on('close', () => {
      sockets.delete(from)
      delayed(() => to.end())
    })
    from.on('error', () => to.destroy())
  }
  const delayed = (work: () => void): void => void (latency === 0 ? work() : setTimeout(work, latency / 2))

  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    pass(client, upstream)
    pass(upstream, client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    setLatency: (milliseconds) => void (latency = milliseconds),
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
