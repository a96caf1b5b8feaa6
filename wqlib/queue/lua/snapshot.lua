--[[
  The queue at one moment.

  `counts` holds what cannot be seen otherwise: `items` (first leases, also the source of
  item ids; those before `clear` are `cleared`), `again` (later leases), and how leases
  ended: `expire`, `release`, `fail`. All other leases that ended were completed. `put` and `drop`
  count items that were put through this library, and dead ones that were removed.

  ARGV[2]  how many items of each kind to show, 0: numbers only

  Returns {now, ms; items that wait; leased; dead; {counter, value, ...}; items that wait;
  {lease id, deadline, ...}; items of these leases; {item id, dead item, ...}; their records}
]]

--include common
local last = ARGV[2] - 1
local answer = {
  now, pending, call('ZCARD', leases), call('HLEN', dead), call('HGETALL', counts),
}
if last >= 0 then
  local lent, items = call('ZRANGE', leases, 0, last, 'WITHSCORES'), {}
  for i = 1, #lent, 2 do
    items[#items + 1] = call('HGET', leased, lent[i])
  end
  local given_up, records = {}, {}
  for i, item_id in ipairs(call('HKEYS', dead)) do
    if i <= last + 1 then
      given_up[2 * i - 1], given_up[2 * i] = item_id, call('HGET', dead, item_id)
      records[i] = call('HGET', tries, item_id)
    end
  end
  answer[6], answer[7], answer[8] = call('LRANGE', list, 0, last), lent, items
  answer[9], answer[10] = given_up, records
end
return answer
