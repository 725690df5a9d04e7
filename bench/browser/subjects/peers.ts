/** The libraries that people store things in browsers with, each by its call for one item. */
import { Dexie } from 'dexie'
import { createStore, entries, get, set } from 'idb-keyval'
import localforage from 'localforage'
import { createStorage } from 'unstorage'
import indexedb from 'unstorage/drivers/indexedb'
import { documentOf, nameOf } from '../../data.ts'
import type { Subject } from '../../subjects/subject.ts'
import { keyOf, recordOf } from '../data.ts'
import { BOTH, RELAXED } from './survives.ts'

const idbKeyval: Subject = {
  name: 'idb-keyval',
  survives: RELAXED,
  async open(place) {
    const store = createStore(place, 'all')
    return {
      append: (n) => set(keyOf(n), recordOf(n), store),
      set: (n) => set(nameOf(n), documentOf(n), store),
      get: (n) => get(nameOf(n), store),
      load: async () => (await entries(store)).length,
      close: () => {},
    }
  },
}

const localForage: Subject = {
  name: 'localForage',
  survives: RELAXED,
  async open(place) {
    const store = localforage.createInstance({ name: place, driver: localforage.INDEXEDDB })
    return {
      append: (n) => store.setItem(keyOf(n), recordOf(n)),
      set: (n) => store.setItem(nameOf(n), documentOf(n)),
      get: (n) => store.getItem(nameOf(n)),
      async load() {
        let events = 0
        await store.iterate(() => void events++)
        return events
      },
      close: () => {},
    }
  },
}

const dexie: Subject = {
  name: 'Dexie',
  survives: BOTH,
  async open(place, chromeTransactionDurability) {
    const db = new Dexie(place, { chromeTransactionDurability })
    // Keys beside the objects, nothing else indexed.
    db.version(1).stores({ documents: '', events: '' })
    const documents = db.table('documents')
    const events = db.table('events')
    return {
      append: (n) => events.put(recordOf(n), keyOf(n)),
      set: (n) => documents.put(documentOf(n), nameOf(n)),
      get: (n) => documents.get(nameOf(n)),
      load: async () => (await events.toArray()).length,
      close: () => db.close(),
    }
  },
}

const unstorage: Subject = {
  name: 'unstorage indexedb',
  survives: RELAXED,
  async open(place) {
    const storage = createStorage({ driver: indexedb({ dbName: place, storeName: 'all' }) })
    return {
      append: (n) => storage.setItem(keyOf(n), recordOf(n)),
      set: (n) => storage.setItem(nameOf(n), documentOf(n)),
      get: (n) => storage.getItem(nameOf(n)),
      // Its keys are known here; a program that has to list them first pays for that too.
      load: async (events) => (await storage.getItems(Array.from({ length: events }, (_, n) => keyOf(n)))).length,
      close: () => storage.dispose(),
    }
  },
}

export const PEERS: readonly Subject[] = [idbKeyval, localForage, dexie, unstorage]
