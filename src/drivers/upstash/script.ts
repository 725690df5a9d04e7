/**
 * The script: everything that the driver asks of Redis, in Lua, so that each request is one command.
 *
 * A database lies in one namespace, whose keys share a hash tag:
 *
 * | key | type | holds |
 * | --- | --- | --- |
 * | `{namespace}:e:part` | hash | the part's entries: key to `expiry \n version \n value` |
 * | `{namespace}:k:part` | sorted set | the same keys at score 0, in the order of their bytes |
 * | `{namespace}:x:part` | sorted set | those that expire, by when |
 * | `{namespace}:p:shard` | sorted set | the parts that hold an entry, at score 0 |
 * | `{namespace}:g:shard` | sorted set | the parts that Redis lets expire as a whole, by when |
 * | `{namespace}:r:request` | string | what became of a request, until its repetition is refused |
 * | `{namespace}:schema` | string | the version of all this |
 *
 * Every key that it touches is declared, none is searched for. What can fail is tried before the first change, because
 * Redis does not undo what a script did before it failed. Numbers travel as text: JSON and Lua would round them.
 *
 * Arguments and answers are drawn in `encode.ts` and `decode.ts`.
 *
 * @module
 */
import { COMMIT } from './script-commit.ts'
import { READ } from './script-read.ts'

/** The version of the layout, kept in the schema key. */
export const SCHEMA_VERSION = 1

const BODY = `
local position = 1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local unlimited = math.huge
local budget = unlimited

local function text(number) return string.format('%.0f', number) end
local function take() position = position + 1 return ARGV[position] end
local function takeNumber() return tonumber(take()) end

local function headOf(packed) return string.match(packed, '^[^\\n]*\\n[^\\n]*\\n') end
-- The version of an entry that is there and has not expired.
local function live(packed)
  if not packed then return nil end
  local expiry, version = string.match(packed, '^(%d*)\\n([^\\n]*)\\n')
  if expiry ~= '' and tonumber(expiry) <= now then return nil end
  return version
end
local function fits(bytes)
  if bytes > budget then return false end
  budget = budget - bytes
  return true
end

-- What a first call asks along: whether the server and the layout are right, and which policy evicts keys.
local greeting
if ARGV[1] == 'open' then
  local probe = redis.pcall('ZRANGE', KEYS[2], '[a', '[b', 'BYLEX', 'LIMIT', 0, 1)
  local version = redis.call('GET', KEYS[1])
  if not version and not probe.err then
    version = ARGV[2]
    redis.call('SET', KEYS[1], version)
  end
  local info = redis.pcall('INFO', 'memory')
  local policy = type(info) == 'string' and string.match(info, 'maxmemory_policy:([%w-]+)') or ''
  greeting = { probe.err and 'old' or 'ok', version or '', policy }
  if #ARGV == 2 or probe.err or version ~= ARGV[2] then return { text(now), greeting } end
  for _, list in ipairs({ KEYS, ARGV }) do
    table.remove(list, 1)
    table.remove(list, 1)
  end
end
local function reply(answers)
  if greeting then table.insert(answers, 2, greeting) end
  return answers
end

${READ}
${COMMIT}`

/** A text to run, and its SHA-1, by which a server knows it. */
export interface Script {
  readonly source: string
  readonly sha: string
}

/** For servers that know no locks by key, as Redis itself. */
export const PLAIN: Script = { source: BODY, sha: '0efaa36d9b07f2c58a23b620f4f677fb9a44cad1' }

/** For Upstash: locks the declared keys, where it would otherwise lock the database. Redis refuses the flag. */
export const LOCKING: Script = {
  source: `#!lua flags=allow-key-locking\n${BODY}`,
  sha: '85240bc885e8d27123f7f3a017a11698852526cf',
}
