/** Tells the service worker which files were built. @module */
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from 'vite'

/**
 * A plugin for Vite.
 *
 * @param worker - the file name of the built service worker
 */
export function precache(worker: string): Plugin {
  let publicDir = ''
  return {
    name: 'precache',
    apply: 'build',
    configResolved(config) {
      ;({ publicDir } = config)
    },
    generateBundle: {
      order: 'post',
      handler(_, bundle) {
        const chunk = bundle[worker]
        if (chunk?.type !== 'chunk') this.error(`There is no ${worker} in the build`)
        const hash = createHash('sha256')
        const files = new Set<string>()
        for (const file of readdirSync(publicDir)) {
          hash.update(readFileSync(join(publicDir, file)))
          files.add(file)
        }
        for (const [file, built] of Object.entries(bundle)) {
          if (file === worker) continue
          hash.update(built.type === 'chunk' ? built.code : built.source)
          // The page is cached under the address that users open.
          files.add(file === 'index.html' ? './' : file)
        }
        const found = { version: hash.digest('hex').slice(0, 16), files: [...files] }
        chunk.code = `const PRECACHE = ${JSON.stringify(found)}\n${chunk.code}`
      },
    },
  }
}
