/**
 * Scripts that lock the keys they declare. Redis refuses the flag, so it is taken off, and a guard put in its place
 * that refuses every other key; the script is known by the SHA-1 of what was sent.
 *
 * @module
 */
import { createHash } from 'node:crypto'

const FLAG = /^#!lua[^\n]*flags=[^\n]*allow-key-locking[^\n]*/

/** Stands where the flag stood: on the first line, so that errors name the lines of the author. */
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

/** Translates the commands of scripts. */
export interface Scripts {
  /** The command as Redis takes it. */
  translate(command: readonly string[]): string[]
  /** The SHA-1 to tell the caller, where Redis knows the script by another. */
  original(sha: string): string
}

/** Makes a translator; it remembers what it has seen. */
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
