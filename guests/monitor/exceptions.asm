; The interrupt descriptor table and the processor's 32 exceptions: each is printed in one line and
; ends the command.

VECTORS         equ 48                  ; 32 exceptions, 16 lines
LINE_VECTOR     equ 32                  ; vector of line 0

        section .bss
        alignb  8
idt:            resb VECTORS * 8
in_exception:   resb 1

        section .data
idt_pointer:
        dw      VECTORS * 8 - 1
        dd      idt

        section .text
init_interrupts:
        pushad
        xor     ecx, ecx
.next:  mov     eax, [stubs + ecx * 4]
        mov     [idt + ecx * 8], ax
        mov     word [idt + ecx * 8 + 2], CODE_SELECTOR
        mov     word [idt + ecx * 8 + 4], 0x8e00        ; present, ring 0, 32-bit interrupt gate
        shr     eax, 16
        mov     [idt + ecx * 8 + 6], ax
        inc     ecx
        cmp     ecx, VECTORS
        jb      .next
        lidt    [idt_pointer]
        popad
        ret

; For these the processor pushes an error code (Intel SDM volume 3, table 6-1; 29 and 30 are AMD's).
%define HAS_ERROR_CODE(v) ((1 << (v)) & 0x60227d00)

%assign n 0
%rep 32
stub_ %+ n:
  %if HAS_ERROR_CODE(n) == 0
        push    dword 0
  %endif
        push    dword n
        jmp     exception
  %assign n n + 1
%endrep

; Stack: vector, error code, EIP, CS, EFLAGS.
exception:
        cld
        cmp     byte [in_exception], 0
        je      .print
        cli                             ; printing it failed: nothing can be trusted any more
        hlt
        jmp     exception
.print: mov     byte [in_exception], 1
        mov     ebx, [esp]
        print   "error: exception "
        mov     esi, [exception_names + ebx * 4]
        call    put_text
        print   ", vector "
        mov     eax, ebx
        mov     ecx, 2
        call    put_0x
        print   ", EIP "
        mov     eax, [esp + 8]
        call    put_0x32
        print   ", error code "
        mov     eax, [esp + 4]
        call    put_0x32
        call    new_line
        call    init_lines              ; an interrupt may have been under way
        jmp     command_failed

        section .data
        align   4
stubs:
%assign n 0
%rep 32
        dd      stub_ %+ n
  %assign n n + 1
%endrep
%assign n 0
%rep 16
        dd      line_stub_ %+ n
  %assign n n + 1
%endrep

%macro exception_name 1
        [section .data]
%%text: db      %1, 0
        [section .names]
        dd      %%text
        __SECT__
%endmacro

        section .names
exception_names:
        exception_name  "#DE divide error"
        exception_name  "#DB debug"
        exception_name  "NMI non-maskable interrupt"
        exception_name  "#BP breakpoint"
        exception_name  "#OF overflow"
        exception_name  "#BR bound range exceeded"
        exception_name  "#UD invalid opcode"
        exception_name  "#NM no coprocessor"
        exception_name  "#DF double fault"
        exception_name  "coprocessor segment overrun"
        exception_name  "#TS invalid TSS"
        exception_name  "#NP segment not present"
        exception_name  "#SS stack fault"
        exception_name  "#GP general protection"
        exception_name  "#PF page fault"
        exception_name  "reserved"
        exception_name  "#MF x87 floating point"
        exception_name  "#AC alignment check"
        exception_name  "#MC machine check"
        exception_name  "#XM SIMD floating point"
        exception_name  "#VE virtualization"
        exception_name  "#CP control protection"
%rep 6
        exception_name  "reserved"
%endrep
        exception_name  "#HV hypervisor injection"
        exception_name  "#VC VMM communication"
        exception_name  "#SX security"
        exception_name  "reserved"

        section .text
; `fault N` makes exception N happen in an ordinary way.
do_fault:
        call    required_number
        call    expect_end
        cmp     eax, 0
        je      .divide
        cmp     eax, 3
        je      .breakpoint
        cmp     eax, 6
        je      .opcode
        cmp     eax, 13
        je      .protection
        fail    "fault knows 0 (divide), 3 (breakpoint), 6 (opcode) and d (protection)"
.divide:
        xor     edx, edx
        div     edx
.breakpoint:
        int3
.opcode:
        ud2
.protection:
        mov     eax, 0xf8               ; beyond the end of our descriptor table
        mov     fs, eax
        ret
