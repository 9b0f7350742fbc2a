-- Puts the truth in place of what calls have set aside, once for each lease.
--
-- KEYS: of each lease: itself, and the counters of its claims.
-- ARGV: the seconds that a settled lease is remembered; and of each lease: its name and
--   the number of its claims; and of each claim: kind, amount, and the truth.

local memory_seconds = ARGV[1]

-- Lua would write large numbers with an exponent.
local function whole(number)
  return string.format('%.0f', number)
end

local settle = {}

function settle.tokens(key, lease, _, truth)
  local amount = redis.call('HGET', key, lease)
  if amount then
    redis.call('HSET', key, lease, truth)
    redis.call('HINCRBY', key, 'sum', whole(truth - amount))
  end
end

function settle.concurrent(key, lease)
  redis.call('ZREM', key, lease)
end

function settle.money(key, _, amount, truth)
  if redis.call('EXISTS', key) == 1 then
    redis.call('HINCRBY', key, 'taken', whole(truth - amount))
  end
end

local key, argument = 1, 2
while key <= #KEYS do
  local lease_key, lease, count = KEYS[key], ARGV[argument], ARGV[argument + 1]
  local is_open = redis.call('GET', lease_key) == 'open'
  -- Commands that were sent before this one may come after it.
  redis.call('SET', lease_key, 'settled', 'EX', memory_seconds)
  key, argument = key + 1, argument + 2
  for _ = 1, tonumber(count) do
    local kind, amount, truth = unpack(ARGV, argument, argument + 2)
    if is_open then
      settle[kind](KEYS[key], lease, amount, truth)
    end
    key, argument = key + 1, argument + 3
  end
end
