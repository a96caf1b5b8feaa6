--[[
  One item, wherever it is.

  ARGV[2]  item id

  Returns {now, ms; the last item id that was given; the last one of those before `clear`; the
  item if it is dead; its record, see end_lease.lua; its result; if it is leased: lease id,
  deadline, item}
]]

--include common
local item_id = ARGV[2]
local answer = {
  now, tonumber(call('HGET', counts, 'items') or 0), tonumber(call('HGET', counts, 'cleared') or 0),
  call('HGET', dead, item_id), call('HGET', tries, item_id), call('HGET', results, item_id),
}
for _, lease_id in ipairs(call('HKEYS', leased)) do
  if string.find(lease_id, '^' .. item_id .. '%-') then
    answer[7], answer[8] = lease_id, call('ZSCORE', leases, lease_id)
    answer[9] = call('HGET', leased, lease_id)
  end
end
return answer
