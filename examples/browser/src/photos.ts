/** Photos as what an `img` can show. @module */
import type { Holdfast } from 'holdfast'
import { type Photo, photoKey } from './inspection.ts'

/** Gives out URLs of photos. */
export interface PhotoUrls {
  /** Of photos of one run; those that are gone are left out. What was given out for another run is let go of. */
  of(runId: string, photos: readonly Photo[]): Promise<ReadonlyMap<string, string>>
}

/** Reads photos from the state of their run, each once. */
export function photoUrls({ state }: Holdfast): PhotoUrls {
  let current: { readonly runId: string; readonly urls: Map<string, string> } | undefined
  return {
    async of(runId, photos) {
      if (current?.runId !== runId) {
        for (const url of current?.urls.values() ?? []) URL.revokeObjectURL(url)
        current = { runId, urls: new Map() }
      }
      const { urls } = current
      await Promise.all(
        photos.map(async ({ id, type }) => {
          if (urls.has(id)) return
          const bytes = await state.get(photoKey(id), { runId })
          if (bytes instanceof Uint8Array) {
            urls.set(id, URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type })))
          }
        }),
      )
      return urls
    },
  }
}
