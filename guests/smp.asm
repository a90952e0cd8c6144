; smp: starts every processor of the machine and lets all of them access devices at the same time, in real mode and then
; in 64-bit mode. At the end it asks the devices whether each access arrived once and in order. Its devices are
; examples/devices/smp-counters.js, one at ports and one in memory; without them it only makes the accesses. A failure is
; written to the debug exit port.
;
; Multiboot 1. The command line is the number of rounds (1 to 100000000, default 100). A round is four writes: to this processor's own
; register and to a register that all share, both at ports and in memory.
;
;       nasm -f bin -o smp.bin smp.asm                  in this folder
;
; - The bootstrap processor begins in 32-bit mode. It reads the local APIC identifiers from the MADT, or without ACPI
;   from the MP table, copies the low part to LOW and starts the others there with INIT and SIPI, one after the other.
; - From `real_mode` on, all run the same code. EBX is the processor's number, which is its place in the table.
; - Without a processor with 64-bit mode, only the first half runs.

MULTIBOOT_MAGIC equ 0x1badb002
MULTIBOOT_FLAGS equ 1 << 1 | 1 << 16    ; we ask for the memory's size; the header has the addresses
INFO_CMDLINE    equ 16
DEFAULT_ROUNDS  equ 100
MAX_ROUNDS      equ 100000000           ; the sum of all writes fits 32 bits
MAX_PROCESSORS  equ 16

LOW             equ 0x8000              ; the page at which the other processors start
STACKS          equ 0xa000              ; of 0x400 bytes each
STACK_BYTES     equ 0x400

SERIAL          equ 0x3f8
PM_CONTROL      equ 0x404
PM_SLEEP_S5     equ 0x3400
DEBUG_EXIT      equ 0xf4
FAILURE         equ 1

; The registers of smp-counters.js, and its two ranges
PORTS           equ 0x600
MEMORY          equ 0xd0000000
TOTAL           equ 0x00                ; adds what is written
COUNT           equ 0x04                ; the processors; a write clears all others
MEET            equ 0x08                ; a read waits for those of all processors
ERRORS          equ 0x0c                ; writes to OWN that were not one more than the last
OWN             equ 0x40                ; one for each processor

APIC_ID         equ 0x20
APIC_SPURIOUS   equ 0xf0
APIC_COMMAND    equ 0x300
APIC_TARGET     equ 0x310
SEND_INIT       equ 0x4500
SEND_SIPI       equ 0x4600 | LOW >> 12
START_POLLS     equ 20000000

CODE_32         equ 0x08
DATA            equ 0x10
CODE_16         equ 0x18
CODE_64         equ 0x20

        bits    32
        org     0x100000

        section .text   align=16
        section .low    align=16 follows=.text vstart=LOW
        section .bss    nobits start=0x104000

        section .text
image_start:
        dd      MULTIBOOT_MAGIC
        dd      MULTIBOOT_FLAGS
        dd      -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS) & 0xffffffff
        dd      image_start             ; where this header lies
        dd      image_start             ; load the file here
        dd      section..low.start + low_end - low_start
        dd      bss_end
        dd      start

; the bootstrap processor

start:
        cli
        cld
        mov     esp, stack_top
        mov     ebp, ebx                ; the loader's information

        mov     esi, section..low.start
        mov     edi, LOW
        mov     ecx, low_end - low_start
        rep movsb
        lgdt    [gdt_pointer]
        jmp     CODE_32:.flat
.flat:
        mov     eax, DATA
        mov     ds, eax
        mov     es, eax
        mov     ss, eax

        call    read_rounds
        call    find_processors
        call    find_64_bit
        call    fill_page_tables

        mov     eax, [processors]
        mov     dx, PORTS + COUNT
        out     dx, eax
        mov     [MEMORY + COUNT], eax
        call    start_others
        mov     byte [go], 1

        mov     ebx, [own_number]
        jmp     CODE_16:leave_protected

; Rounds: the decimal number of the command line, which may have spaces around it.
read_rounds:
        mov     esi, [ebp + INFO_CMDLINE]
        test    esi, esi
        jz      .done
        call    skip_spaces
        cmp     byte [esi], 0
        je      .done
        xor     eax, eax
.digit: movzx   ecx, byte [esi]
        sub     ecx, '0'
        cmp     ecx, 9
        ja      .end
        imul    eax, eax, 10
        add     eax, ecx
        cmp     eax, MAX_ROUNDS
        ja      .wrong
        inc     esi
        jmp     .digit
.end:   call    skip_spaces
        cmp     byte [esi], 0
        jne     .wrong
        test    eax, eax
        jz      .wrong
        mov     [rounds], eax
.done:  ret
.wrong: mov     esi, wrong_rounds_text
        jmp     fail_32

        %include "skip-spaces.inc"

; The list of identifiers, the count, the local APIC's address and our own place in the list.
find_processors:
        mov     edi, identifiers
        mov     ebx, 0xe0000
.root:  cmp     dword [ebx], 'RSD '
        jne     .next
        cmp     dword [ebx + 4], 'PTR '
        je      .acpi
.next:  add     ebx, 16
        cmp     ebx, 0x100000
        jb      .root

        mov     ebx, 0xf0000
.float: cmp     dword [ebx], '_MP_'
        je      .mp
        add     ebx, 16
        cmp     ebx, 0x100000
        jb      .float
        mov     eax, [apic]             ; no table: we are alone
        mov     eax, [eax + APIC_ID]
        shr     eax, 24
        stosb
        jmp     .count

.acpi:  mov     ebx, [ebx + 16]         ; the RSDT: its header has 36 bytes, then come addresses
        mov     ecx, [ebx + 4]
        add     ecx, ebx
        add     ebx, 36
.table: cmp     ebx, ecx
        jae     .count
        mov     esi, [ebx]
        add     ebx, 4
        cmp     dword [esi], 'APIC'
        jne     .table
        mov     eax, [esi + 36]
        mov     [apic], eax
        mov     ecx, [esi + 4]
        add     ecx, esi
        add     esi, 44
.entry: cmp     esi, ecx
        jae     .count
        cmp     byte [esi], 0           ; a local APIC: processor, identifier, flags with "enabled"
        jne     .skip
        test    byte [esi + 4], 1
        jz      .skip
        mov     al, [esi + 3]
        call    add_identifier
.skip:  movzx   eax, byte [esi + 1]
        add     esi, eax
        jmp     .entry

.mp:    mov     esi, [ebx + 4]
        mov     eax, [esi + 36]
        mov     [apic], eax
        movzx   ecx, word [esi + 34]    ; entries; those of processors come first, and have 20 bytes
        add     esi, 44
.cpu:   jecxz   .count
        cmp     byte [esi], 0
        jne     .count
        test    byte [esi + 3], 1
        jz      .off
        mov     al, [esi + 1]
        call    add_identifier
.off:   add     esi, 20
        dec     ecx
        jmp     .cpu

.count: sub     edi, identifiers
        mov     [processors], edi
        mov     ebx, [apic]
        mov     eax, [ebx + APIC_ID]
        shr     eax, 24
        xor     ecx, ecx
.own:   cmp     [identifiers + ecx], al
        je      .found
        inc     ecx
        cmp     ecx, edi
        jb      .own
        xor     ecx, ecx
.found: mov     [own_number], ecx
        ret

; AL goes to the list at EDI, if there is room.
add_identifier:
        cmp     edi, identifiers + MAX_PROCESSORS
        jae     .full
        stosb
.full:  ret

find_64_bit:
        mov     eax, 0x80000000
        cpuid
        cmp     eax, 0x80000001
        jb      .done
        mov     eax, 0x80000001
        cpuid
        bt      edx, 29
        setc    [has_64_bit]
.done:  ret

; The first 4 GiB at their own addresses, in pages of 2 MiB. The tables begin as zeroes.
fill_page_tables:
        mov     dword [pml4], pdpt + 3
        mov     eax, directories + 3
        mov     edi, pdpt
        mov     ecx, 4
.gib:   mov     [edi], eax
        add     eax, 4096
        add     edi, 8
        loop    .gib
        mov     eax, 0x83
        mov     edi, directories
        mov     ecx, 4 * 512
.page:  mov     [edi], eax
        add     eax, 0x200000
        add     edi, 8
        loop    .page
        ret

; Each in turn, until it has taken its number.
start_others:
        mov     ebx, [apic]
        or      dword [ebx + APIC_SPURIOUS], 0x1ff
        mov     byte [started], 1
        xor     edi, edi
.next:  cmp     edi, [processors]
        jae     .done
        cmp     edi, [own_number]
        je      .skip
        mov     [next_number], edi
        movzx   edx, byte [started]
        movzx   eax, byte [identifiers + edi]
        shl     eax, 24
        mov     [ebx + APIC_TARGET], eax
        mov     dword [ebx + APIC_COMMAND], SEND_INIT
        mov     [ebx + APIC_TARGET], eax
        mov     dword [ebx + APIC_COMMAND], SEND_SIPI
        mov     ecx, START_POLLS
.poll:  cmp     [started], dl
        jne     .skip
        pause
        dec     ecx
        jnz     .poll
        mov     esi, no_start_text
        jmp     fail_32
.skip:  inc     edi
        jmp     .next
.done:  ret

; ESI: why. Where there is no debug exit port, the machine is powered off.
fail_32:
        lodsb
        test    al, al
        jz      .exit
        mov     dx, SERIAL
        out     dx, al
        jmp     fail_32
.exit:  mov     eax, FAILURE
        out     DEBUG_EXIT, eax
power_off_32:
        mov     dx, PM_CONTROL
        mov     ax, PM_SLEEP_S5
        out     dx, ax
        hlt
        jmp     power_off_32

no_start_text:
        db      "smp: a processor does not start", 13, 10, 0
wrong_rounds_text:
        db      "smp: the command line is not a number of rounds from 1 to 100000000", 13, 10, 0

; all processors, below 1 MiB

        section .low
        bits    16
low_start:
; The others start here, with CS = LOW / 16.
        jmp     0:.at_zero
.at_zero:
        cli
        xor     ax, ax
        mov     ds, ax
        mov     ebx, [next_number]
        lock inc byte [started]
        jmp     real_mode

; The bootstrap processor comes here from 32-bit mode.
leave_protected:
        mov     ax, DATA
        mov     ds, ax
        mov     ss, ax
        mov     eax, cr0
        and     al, ~1
        mov     cr0, eax
        jmp     0:real_mode

real_mode:
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     ax, bx
        inc     ax
        imul    ax, ax, STACK_BYTES
        add     ax, STACKS
        mov     sp, ax

        ; FS gets a limit of 4 GiB, which it keeps in real mode
        o32 lgdt [gdt_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        mov     ax, DATA
        mov     fs, ax
        mov     eax, cr0
        and     al, ~1
        mov     cr0, eax
        jmp     0:.big
.big:
        ; Without the device, which lets them meet, the others wait here
        mov     dx, PORTS + MEET
        in      eax, dx
.wait:  pause
        cmp     byte [go], 0
        je      .wait

        mov     ecx, [rounds]
        xor     ebp, ebp                ; the number of the last round
        lea     esi, [OWN + ebx * 4]
        mov     edi, MEMORY
.round: inc     ebp
        mov     eax, ebp
        lea     dx, [esi + PORTS]
        out     dx, eax
        mov     [fs:edi + esi], ebp
        mov     eax, 1
        mov     dx, PORTS + TOTAL
        out     dx, eax
        mov     [fs:edi + TOTAL], eax
        dec     ecx
        jnz     .round

        cmp     byte [has_64_bit], 0
        je      .only_real

        mov     eax, cr4
        or      al, 1 << 5              ; PAE
        mov     cr4, eax
        mov     eax, pml4
        mov     cr3, eax
        mov     ecx, 0xc0000080         ; EFER
        rdmsr
        or      ax, 1 << 8              ; LME
        wrmsr
        mov     eax, cr0
        or      eax, 1 << 31 | 1
        mov     cr0, eax
        jmp     dword CODE_64:long_mode

.only_real:
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     dword CODE_32:.flat
        bits    32
.flat:  mov     eax, DATA
        mov     ds, eax
        mov     ss, eax
        lock inc dword [done]
        cmp     ebx, [own_number]
        jne     stop_32
.last:  mov     eax, [done]
        cmp     eax, [processors]
        jne     .last
        mov     esi, only_real_text
.text:  lodsb
        test    al, al
        jz      stop_32
        mov     dx, SERIAL
        out     dx, al
        jmp     .text
stop_32:
        cmp     ebx, [own_number]
        jne     .halt
        mov     dx, PM_CONTROL
        mov     ax, PM_SLEEP_S5
        out     dx, ax
.halt:  cli
        hlt
        jmp     .halt

        bits    64
long_mode:
        mov     eax, DATA
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        lea     eax, [rbx + 1]
        imul    eax, eax, STACK_BYTES
        lea     esp, [rax + STACKS]

        mov     edi, MEMORY
        mov     eax, [rdi + MEET]
        mov     ecx, [rounds]
        lea     esi, [OWN + rbx * 4]
.round: inc     ebp
        mov     eax, ebp
        lea     edx, [rsi + PORTS]
        out     dx, eax
        mov     [rdi + rsi], eax
        mov     eax, 1
        mov     dx, PORTS + TOTAL
        out     dx, eax
        mov     [rdi + TOTAL], eax
        dec     ecx
        jnz     .round

        mov     dx, PORTS + MEET        ; the last ones do not run while one of us waits in a loop
        in      eax, dx
        lock inc dword [done]
        cmp     ebx, [own_number]
        je      report
halt_64:
        cli
        hlt
        jmp     halt_64

; The bootstrap processor, once all are done.
report:
        pause
        mov     eax, [done]
        cmp     eax, [processors]
        jne     report

        mov     esi, smp_text
        call    put_text
        mov     eax, [processors]
        mov     esi, processor_text
        call    put_count
        mov     esi, comma_text
        call    put_text
        mov     eax, [rounds]
        mov     esi, round_text
        call    put_count
        mov     esi, halves_text
        call    put_text

        mov     ebp, [rounds]
        add     ebp, ebp
        imul    ebp, [processors]       ; what both totals have to be
        mov     dx, PORTS + COUNT
        in      eax, dx
        mov     esi, no_ports_text
        cmp     eax, -1
        je      .no_ports
        mov     dx, PORTS + TOTAL
        in      eax, dx
        mov     r8d, eax
        mov     dx, PORTS + ERRORS
        in      eax, dx
        mov     r9d, eax
        mov     esi, ports_text
        call    put_result
        jmp     .memory
.no_ports:
        call    put_text
.memory:
        mov     edi, MEMORY
        mov     esi, no_memory_text
        cmp     dword [rdi + COUNT], -1
        je      .no_memory
        mov     r8d, [rdi + TOTAL]
        mov     r9d, [rdi + ERRORS]
        mov     esi, memory_text
        call    put_result
        jmp     .off
.no_memory:
        call    put_text
.off:   cmp     byte [has_failed], 0
        je      .power_off
        mov     eax, FAILURE
        out     DEBUG_EXIT, eax
.power_off:
        mov     dx, PM_CONTROL
        mov     ax, PM_SLEEP_S5
        out     dx, ax
        jmp     halt_64

; EAX, and the noun at ESI, with an s unless it is one.
put_count:
        push    rsi
        push    rax
        call    put_number
        mov     esi, [rsp + 8]
        call    put_text
        pop     rax
        pop     rsi
        cmp     eax, 1
        je      .one
        mov     al, 's'
        call    put_char
.one:   ret

; ESI: whose. R8D: the total, R9D: the errors, EBP: the total that is right.
put_result:
        call    put_text
        mov     eax, r8d
        call    put_number
        mov     esi, of_text
        call    put_text
        mov     eax, ebp
        call    put_number
        mov     esi, order_text
        call    put_text
        mov     eax, r9d
        call    put_number
        mov     esi, right_text
        cmp     r8d, ebp
        jne     .wrong
        test    r9d, r9d
        jz      put_text
.wrong: mov     byte [has_failed], 1
        mov     esi, wrong_text
        jmp     put_text

        %include "print.inc"

smp_text:       db      "smp: ", 0
processor_text: db      " processor", 0
comma_text:     db      ", ", 0
round_text:     db      " round", 0
halves_text:    db      " in real mode and in 64-bit mode", 13, 10, 0
ports_text:     db      "smp: ports: ", 0
memory_text:    db      "smp: memory: ", 0
of_text:        db      " of ", 0
order_text:     db      " writes, out of order ", 0
right_text:     db      ": exact", 13, 10, 0
wrong_text:     db      ": WRONG", 13, 10, 0
no_ports_text:  db      "smp: ports: no device at 0x600", 13, 10, 0
no_memory_text: db      "smp: memory: no device at 0xd0000000", 13, 10, 0
only_real_text: db      "smp: there is no 64-bit mode: only real mode was done", 13, 10, 0

        align   8
gdt:    dq      0
        dq      0x00cf9b000000ffff      ; 32-bit code
        dq      0x00cf93000000ffff      ; data, 4 GiB
        dq      0x00009b000000ffff      ; 16-bit code
        dq      0x00af9b000000ffff      ; 64-bit code
gdt_end:
gdt_pointer:
        dw      gdt_end - gdt - 1
        dd      gdt

        align   4
rounds:         dd      DEFAULT_ROUNDS
processors:     dd      0
own_number:     dd      0               ; of the bootstrap processor
next_number:    dd      0               ; of the processor that starts now
done:           dd      0               ; processors that are through
apic:           dd      0xfee00000
started:        db      0
go:             db      0
has_64_bit:     db      0
has_failed:     db      0
identifiers:    times MAX_PROCESSORS db 0
low_end:

        section .bss
pml4:           resb    4096
pdpt:           resb    4096
directories:    resb    4 * 4096
stack:          resb    4096
stack_top:
bss_end:
