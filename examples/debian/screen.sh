# Writes the first argument to the first row of the screen card at 00:07.0 (examples/devices/screen.js).
cd /sys/bus/pci/devices/0000:00:07.0
echo 1 > enable
{ read text x x; read registers x x; } < resource
echo "screen of $(($(devmem $registers) & 0xffff)) columns at $text"
at=0
while [ $at -lt ${#1} ]; do
  devmem $((text + at)) 8 $(printf %d "'${1:$at:1}")
  at=$((at + 1))
done
until [ $(($(devmem $((registers + 4))))) -gt 0 ]; do usleep 10000; done
echo "frames $(($(devmem $((registers + 4)))))"
