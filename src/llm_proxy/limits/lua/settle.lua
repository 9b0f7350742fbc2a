-- Puts the truth in place of what calls have set aside, once for each lease.
--
-- KEYS: of each lease: what says that it is settled, and the counters of its claims.
-- ARGV: the seconds that a settled lease is remembered; and of each lease: its name and
--   the number of its claims; and of each claim: kind, and the truth.
-- Returns how many claims could not be settled because of what their counters hold.

local memory_seconds = ARGV[1]

-- Lua would write large numbers with an exponent.
local function whole(number)
  return string.format('%.0f', number)
end

-- Each function returns what Redis has said last.
local settle = {}

function settle.tokens(key, lease, truth)
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

function settle.money(key, lease, truth)
  local found = redis.pcall('HGET', key, lease)
  local amount = tonumber(found)
  if not amount then
    return found
  end
  local taken = redis.pcall('HINCRBY', key, 'taken', whole(truth - amount))
  return type(taken) == 'table' and taken or redis.pcall('HDEL', key, lease)
end

-- Whether a key holds what is not ours, which is trouble for its claim alone.
local function is_spoilt(why)
  return why:find('^WRONGTYPE') or why:find('not an integer') or why:find('overflow')
end

local key, argument, spoilt = 1, 2, 0
while key <= #KEYS do
  local settled, lease, count = KEYS[key], ARGV[argument], ARGV[argument + 1]
  -- Not EXISTS: Redis lets a script that has begun to write go on when its memory is full.
  local is_settled = redis.call('DEL', settled) == 1
  -- Commands that were sent before this one may come after it.
  redis.call('SET', settled, '', 'EX', memory_seconds)
  key, argument = key + 1, argument + 2
  for _ = 1, tonumber(count) do
    local kind, truth = unpack(ARGV, argument, argument + 1)
    local said = not is_settled and settle[kind](KEYS[key], lease, truth)
    local why = type(said) == 'table' and said.err
    if why and not is_spoilt(why) then
      redis.call('DEL', settled)
      return said
    end
    spoilt = spoilt + (why and 1 or 0)
    key, argument = key + 1, argument + 2
  end
end
return spoilt
