--[[
  What an export holds besides the list, at one moment and in the order of its lines.

  ARGV[2]  "leased" or "dead"

  Returns for "leased" {now, ms; how many items are leased; wait; are dead; lease id, deadline,
  item, and so on, by deadline}, for "dead" {item id, item, record, and so on, by item id}
]]

--include common
local answer = {}
if ARGV[2] == 'leased' then
  answer = { now, call('ZCARD', leases), pending, call('HLEN', dead) }
  local lent = call('ZRANGE', leases, 0, -1, 'WITHSCORES')
  for i = 1, #lent, 2 do
    answer[#answer + 1] = lent[i]
    answer[#answer + 1] = lent[i + 1]
    answer[#answer + 1] = call('HGET', leased, lent[i])
  end
else
  local item_ids = call('HKEYS', dead)
  table.sort(item_ids, function(a, b) return tonumber(a) < tonumber(b) end)
  for _, item_id in ipairs(item_ids) do
    answer[#answer + 1] = item_id
    answer[#answer + 1] = call('HGET', dead, item_id)
    answer[#answer + 1] = call('HGET', tries, item_id)
  end
end
return answer
