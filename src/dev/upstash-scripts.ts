/**
 * Scripts that lock the keys they declare. Redis refuses the flag, so it is replaced by a guard that refuses all other
 * keys. Callers know the script by the SHA-1 of the source that they sent.
 *
 * @module
 */
import { createHash } from 'node:crypto'

const FLAG = /^#!lua[^\n]*flags=[^\n]*allow-key-locking[^\n]*/

/** Replaces the flag on the first line, so that line numbers in errors stay the author's. */
const GUARD = [
  'local redis = (function(redis)',
  'local none, all = { TIME = 1, PING = 1, ECHO = 1, INFO = 1, PUBLISH = 1 }, { DEL = 1, UNLINK = 1, EXISTS = 1, TOUCH = 1, MGET = 1 }',
  'local declared = {} for _, key in ipairs(KEYS) do declared[key] = true end',
  'local function refused(command, ...) local name, args = string.upper(command), { ... }',
  'if none[name] then return false end',
  "for i = 1, all[name] and #args or 1 do if not declared[tostring(args[i])] then return 'ERR Dynamic keys are not allowed when key locking is enabled' end end end",
  'return setmetatable({',
  'call = function(...) local why = refused(...) if why then error({ err = why }) end return redis.call(...) end,',
  'pcall = function(...) local why = refused(...) if why then return { err = why } end return redis.pcall(...) end,',
  '}, { __index = redis }) end)(redis)',
].join(' ')

const shaOf = (text: string): string => createHash('sha1').update(text).digest('hex')

/** Translates commands that concern scripts. */
export interface Scripts {
  /** The command for Redis. */
  translate(command: readonly string[]): string[]
  /** The SHA-1 to report to the caller, if Redis knows the script by another. */
  original(sha: string): string
}

/** Makes a translator. It remembers the scripts it has seen. */
export function translateScripts(): Scripts {
  const ours = new Map<string, string>()
  const theirs = new Map<string, string>()

  function translated(source: string): string {
    const guarded = source.replace(FLAG, GUARD)
    if (guarded !== source) {
      ours.set(shaOf(source), shaOf(guarded))
      theirs.set(shaOf(guarded), shaOf(source))
    }
    return guarded
  }

  return {
    translate([name = '', first = '', ...rest]) {
      if (/^eval(_ro)?$/i.test(name)) return [name, translated(first), ...rest]
      if (/^evalsha(_ro)?$/i.test(name)) return [name, ours.get(first.toLowerCase()) ?? first, ...rest]
      if (/^script$/i.test(name) && /^load$/i.test(first)) return [name, first, ...rest.map(translated)]
      if (/^script$/i.test(name) && /^exists$/i.test(first))
        return [name, first, ...rest.map((sha) => ours.get(sha) ?? sha)]
      return first === '' && rest.length === 0 ? [name] : [name, first, ...rest]
    },
    original: (sha) => theirs.get(sha) ?? sha,
  }
}
