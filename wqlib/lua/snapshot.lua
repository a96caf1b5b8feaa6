--[[
  The queue at one moment.

  `counts` holds what cannot be seen otherwise: `items` (first leases, also the source of
  item ids; those before `clear` are `cleared`), `again` (later leases), and how leases
  ended: `expire`, `release`, `fail`. All other leases that ended were completed.

  ARGV[2]  how many items of each kind to show, 0: numbers only

  Returns {now, ms; items that wait; leased; dead; {counter, value, ...}; items that wait;
  {lease id, deadline, ...}; items of these leases; {item id, dead item, ...}; their records}
]]

--include common
-- The values in `hash` of every second of `names`.
local function values(hash, names)
  local fields = {}
  for i = 1, #names, 2 do
    fields[#fields + 1] = names[i]
  end
  return fields[1] and call('HMGET', hash, unpack(fields)) or {}
end

local last = ARGV[2] - 1
local answer = {
  now, pending, call('ZCARD', leases), call('HLEN', dead), call('HGETALL', counts),
}
if last >= 0 then
  local lent = call('ZRANGE', leases, 0, last, 'WITHSCORES')
  local given_up = {}
  for _, item_id in ipairs(call('HKEYS', dead)) do
    if #given_up > 2 * last then
      break
    end
    given_up[#given_up + 1] = item_id
    given_up[#given_up + 1] = call('HGET', dead, item_id)
  end
  answer[6] = call('LRANGE', list, 0, last)
  answer[7], answer[8] = lent, values(leased, lent)
  answer[9], answer[10] = given_up, values(tries, given_up)
end
return answer
