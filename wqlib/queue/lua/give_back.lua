--[[
  Ends leases without completion: the items wait again, at the head of the list.

  ARGV[2]  "release" (does not count as a failure) or "fail" (counts)
  ARGV[3]  why, at most 1000 bytes
  ARGV[4]  failures after which an item is given up, 0: never
  ARGV[5]  lease id, and so on

  Returns for each lease id a digit: 1 (waits again), 2 (given up) or 0 (the lease was lost)
]]

--include common
--include before
if before then
  return string.match(before, ' (.*)$')
end

--include end_lease
local digits = ''
for i = 5, #ARGV do
  local ends = call('ZSCORE', leases, ARGV[i])
  if not ends or tonumber(ends) <= now then
    digits = digits .. '0'
  elseif end_lease(ARGV[2], ARGV[i], ARGV[3], tonumber(ARGV[4])) then
    digits = digits .. '2'
  else
    digits = digits .. '1'
  end
end
local memo = digits
--include close
return digits
