; `pci`: what is on the PCI buses, by configuration mechanism 1: an address to port 0xcf8, the
; register at 0xcfc. Starts with bus 0 and goes on with the buses behind the bridges it finds.

PCI_ADDRESS     equ 0xcf8
PCI_DATA        equ 0xcfc
PCI_ENABLE      equ 0x80000000
PCI_LIMIT       equ 256                 ; functions shown: a bus that answers everywhere has 64 Ki of them

; Registers of a function (PCI Local Bus 3.0, chapter 6).
PCI_ID          equ 0x00                ; vendor below, device above
PCI_CLASS       equ 0x08                ; revision, interface, subclass, class
PCI_HEADER      equ 0x0c                ; bits 16 to 22 the layout, bit 23: more than one function
PCI_BUSES       equ 0x18                ; of a bridge: bits 8 to 15 are the bus behind it

        section .bss
        alignb  4
buses_seen:     resd 256 / 32           ; found, so never put on the list again
buses_left:     resd 256 / 32           ; found and not scanned yet

        section .text
        command "pci", do_pci, 0, "pci", "list the functions on the PCI buses"

do_pci:
        call    expect_end
        mov     edx, PCI_ADDRESS
        mov     eax, PCI_ENABLE
        out     dx, eax
        in      eax, dx
        cmp     eax, PCI_ENABLE         ; the address can be read back where there is such a port
        je      .present
        fail    "no PCI configuration at port 0xcf8"
.present:
        mov     edi, buses_seen
        mov     ecx, 2 * 256 / 32
        xor     eax, eax
        rep stosd
        mov     byte [buses_seen], 1    ; bus 0
        mov     byte [buses_left], 1
        xor     ebp, ebp                ; functions shown
.bus:   xor     ecx, ecx
.find:  bsf     eax, [buses_left + ecx * 4]
        jnz     .scan
        inc     ecx
        cmp     ecx, 256 / 32
        jb      .find
        test    ebp, ebp
        jnz     .done
        print   "no PCI functions", CR, LF
.done:  ret
.scan:  btr     [buses_left + ecx * 4], eax
        shl     ecx, 5
        add     eax, ecx
        shl     eax, 16                 ; where configuration addresses have the bus
        mov     ebx, eax
        mov     ecx, 32                 ; devices left
.device:
        call    scan_device
        jc      .end
        add     ebx, 1 << 11
        dec     ecx
        jnz     .device
        jmp     .bus
.end:   ret

; EBX: configuration address of a device; EBP counts. Carry when the scan should stop.
scan_device:
        pushad
        mov     ecx, 1                  ; functions left: 0 to 7 only where function 0 says there are more
.function:
        mov     eax, PCI_ID
        call    pci_read
        cmp     ax, 0xffff
        je      .next
        test    ax, ax
        jz      .next
        cmp     ebp, PCI_LIMIT
        je      .limit
        inc     ebp
        call    show_function
        call    check_abort
        jc      .stop
        mov     eax, PCI_HEADER
        call    pci_read
        test    ebx, 7 << 8
        jnz     .layout
        test    eax, 1 << 23
        jz      .layout
        mov     ecx, 8
.layout:
        shr     eax, 16
        and     eax, 0x7f
        cmp     eax, 1                  ; a bridge to another PCI bus
        jne     .next
        mov     eax, PCI_BUSES
        call    pci_read
        movzx   eax, ah
        bts     [buses_seen], eax
        jc      .next
        bts     [buses_left], eax
.next:  add     ebx, 1 << 8
        dec     ecx
        jnz     .function
        mov     [esp + 8], ebp          ; where popad finds EBP
        popad
        clc
        ret
.limit: print   "error: more than 256 functions; the rest is not listed", CR, LF
.stop:  popad
        stc
        ret

; EBX: configuration address of a function; EAX: a register; its 32 bits afterwards.
pci_read:
        push    edx
        mov     edx, PCI_ADDRESS
        or      eax, ebx
        or      eax, PCI_ENABLE
        out     dx, eax
        mov     edx, PCI_DATA
        in      eax, dx
        pop     edx
        ret

; EBX: configuration address of a function.
show_function:
        pushad
        mov     eax, ebx
        shr     eax, 16
        mov     ecx, 2
        call    put_hex
        print   ":"
        mov     eax, ebx
        shr     eax, 11
        and     eax, 31
        call    put_hex
        print   "."
        mov     eax, ebx
        shr     eax, 8
        and     eax, 7
        mov     ecx, 1
        call    put_hex
        call    put_space
        mov     eax, PCI_ID
        call    pci_read
        mov     ecx, 4
        call    put_hex
        print   ":"
        shr     eax, 16
        call    put_hex
        mov     eax, PCI_CLASS
        call    pci_read
        shr     eax, 8
        print   " class "
        mov     ecx, 6
        call    put_hex
        shr     eax, 16
        cmp     eax, PCI_CLASSES
        jae     .done
        call    put_space
        mov     esi, [pci_class_names + eax * 4]
        call    put_text
.done:  call    new_line
        popad
        ret

%macro class_name 1
        [section .data]
%%text: db      %1, 0
        [section .classes]
        dd      %%text
        __SECT__
%endmacro

        section .classes
pci_class_names:
        class_name "old"
        class_name "storage"
        class_name "network"
        class_name "display"
        class_name "multimedia"
        class_name "memory"
        class_name "bridge"
        class_name "communication"
        class_name "system"
        class_name "input"
        class_name "docking"
        class_name "processor"
        class_name "serial bus"
PCI_CLASSES     equ ($ - pci_class_names) / 4
        section .text
