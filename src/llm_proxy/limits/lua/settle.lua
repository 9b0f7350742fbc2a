-- Puts the truth in place of what calls have set aside, once for each lease.
--
-- KEYS: of each lease: itself, and the counters of its claims.
-- ARGV: the seconds that a settled lease is remembered; and of each lease: its name and
--   the number of its claims; and of each claim: kind, amount, and the truth.
-- Returns how many claims could not be settled because of what their counters hold.

local memory_seconds = ARGV[1]

-- Lua would write large numbers with an exponent.
local function whole(number)
  return string.format('%.0f', number)
end

-- Each function returns what Redis has said last.
local settle = {}

function settle.tokens(key, lease, _, truth)
  local found = redis.pcall('HGET', key, lease)
  local amount = tonumber(found)
  if not amount then
    return found
  end
  local sum = redis.pcall('HINCRBY', key, 'sum', whole(truth - amount))
  return type(sum) == 'table' and sum or redis.pcall('HSET', key, lease, truth)
end

function settle.concurrent(key, lease)
  return redis.pcall('ZREM', key, lease)
end

function settle.money(key, _, amount, truth)
  if redis.call('EXISTS', key) == 1 then
    return redis.pcall('HINCRBY', key, 'taken', whole(truth - amount))
  end
end

-- Whether a key holds what is not ours, which is trouble for its claim alone.
local function is_spoilt(why)
  return why:find('^WRONGTYPE') or why:find('not an integer') or why:find('overflow')
end

local key, argument, spoilt = 1, 2, 0
while key <= #KEYS do
  local lease_key, lease, count = KEYS[key], ARGV[argument], ARGV[argument + 1]
  local is_open = redis.pcall('GET', lease_key) == 'open'
  -- Commands that were sent before this one may come after it.
  redis.call('SET', lease_key, 'settled', 'EX', memory_seconds)
  key, argument = key + 1, argument + 2
  for _ = 1, tonumber(count) do
    local kind, amount, truth = unpack(ARGV, argument, argument + 2)
    local said = is_open and settle[kind](KEYS[key], lease, amount, truth)
    local why = type(said) == 'table' and said.err
    if why and not is_spoilt(why) then
      redis.call('SET', lease_key, 'open', 'EX', memory_seconds)
      return said
    end
    spoilt = spoilt + (why and 1 or 0)
    key, argument = key + 1, argument + 3
  end
end
return spoilt
