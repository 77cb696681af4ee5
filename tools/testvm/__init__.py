"""Virtual machines to test on, with a kernel of their own: they reboot for real and lose power for real.

    image = converged({"stemedb_profile": "none"})
    machine = Machine.create(folder, image)
    machine.boot()
    machine.ssh("systemctl is-active stemedb-api")
    machine.reboot()
    machine.cut_power()   # whatever the data disk had not been told to flush is gone
    machine.boot()
    machine.close()

Images are made on the same cached root as the container hosts (tools/testhost.py) and kept in the same cache.
Emulated (no KVM): an instruction costs ten to twenty times what it costs on the machine. Needs root and the
Debian packages of molecule/packages.txt.
"""

from tools.testvm.disk import VolatileDisk
from tools.testvm.image import Image, converged, plain
from tools.testvm.machine import Machine
from tools.testvm.process import BrokenMachine

__all__ = ["BrokenMachine", "Image", "Machine", "VolatileDisk", "converged", "plain"]
