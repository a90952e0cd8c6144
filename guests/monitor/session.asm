; What is run next. Commands come from three places, looked at in this order: the command that
; `repeat` repeats, the steps of the tour, and the line (typed, or given by the loader), cut at its
; semicolons.
;
; Every command ends at next_command, be it by returning, by an error, by an exception or by Ctrl-C.
; The stack is set up anew there and the timers and lines that a command used are put back, so that
; no command needs to clean up.

COMMAND_BYTES   equ 1024                ; with the zero at the end: the longest line a loader may give

        section .bss
command_text:   resb COMMAND_BYTES      ; the command that runs
repeat_text:    resb COMMAND_BYTES
script_text:    resb COMMAND_BYTES      ; the loader's command line
current_command: resd 1                 ; its entry in the table
line_rest:      resd 1                  ; what is left of the line, or 0
repeat_left:    resd 1
tour_next:      resd 1                  ; the next step of the tour, or 0
line_is_script: resb 1                  ; show each command as if it were typed

        section .text
next_command:
        mov     esp, stack_top
        cld
        mov     byte [in_exception], 0
        call    settle_timers
        call    mask_lines
        sti
        mov     dword [storm_left], STORM_LIMIT
        call    check_abort
        jnc     .next
        call    drop_all
        print   "^C", CR, LF
.next:
        cmp     dword [repeat_left], 0
        jne     .repeat
        call    next_tour_step
        jnc     .shown
        mov     esi, [line_rest]
        test    esi, esi
        jz      .read
        call    cut_command
        cmp     byte [command_text], 0
        je      .next
        cmp     byte [line_is_script], 0
        je      .run
.shown: call    put_prompt
        mov     esi, command_text
        call    put_text
        call    new_line
        jmp     .run
.repeat:
        dec     dword [repeat_left]
        mov     esi, repeat_text
        call    copy_command
        jmp     .run
.read:
        mov     byte [line_is_script], 0
        mov     dword [open_lines], -1  ; the user may have written the masks: make mask_lines do so too
        call    mask_lines
        call    arm_serial
        call    put_prompt
        call    read_line
        jc      .read
        mov     dword [line_rest], line_text
        jmp     .next
.run:
        mov     esi, command_text
        call    next_word
        jc      next_command
        call    find_command
        jc      .unknown
        mov     [current_command], edi
        mov     eax, [edi + entry.parameter]
        call    [edi + entry.routine]
        jmp     next_command
.unknown:
        print   "error: no command "
        call    put_word
        print   "; help lists them", CR, LF

; Where `fail` goes. What was to be repeated is not; the rest of the line is still run.
command_failed:
        mov     dword [repeat_left], 0
        jmp     next_command

put_prompt:
        print   "monitor> "
        ret

drop_all:
        mov     dword [repeat_left], 0
        mov     dword [tour_next], 0
        mov     dword [line_rest], 0
        mov     byte [aborted], 0
        ret

; ESI: text; copies it to command_text, up to its end or what fits.
copy_command:
        pushad
        mov     edi, command_text
        mov     ecx, COMMAND_BYTES - 1
.next:  lodsb
        stosb
        test    al, al
        jz      .done
        dec     ecx
        jnz     .next
        mov     byte [edi], 0
.done:  popad
        ret

; ESI: what is left of a line. Moves the command before the next semicolon to command_text, without
; spaces around it.
cut_command:
        pushad
        call    skip_spaces
        mov     edi, command_text
        mov     ecx, COMMAND_BYTES - 1
.next:  lodsb
        cmp     al, ';'
        je      .end
        test    al, al
        jz      .last
        stosb
        dec     ecx
        jnz     .next
.last:  xor     esi, esi
.end:   mov     [line_rest], esi
.trim:  mov     byte [edi], 0
        cmp     edi, command_text
        je      .done
        dec     edi
        cmp     byte [edi], ' '
        je      .trim
.done:  popad
        ret

; Takes the loader's command line as the first line. A first word that names the program is passed
; over: loaders put the path of the file there.
start_script:
        pushad
        mov     ebx, [multiboot_info]
        test    ebx, ebx
        jz      .done
        test    byte [ebx], 1 << 2      ; flags: the command line is there
        jz      .done
        mov     esi, [ebx + 16]
        mov     edi, script_text
        mov     ecx, COMMAND_BYTES - 1  ; the .bss is zero, so the text ends
.copy:  lodsb
        test    al, al
        jz      .copied
        stosb
        dec     ecx
        jnz     .copy
.copied:
        mov     esi, script_text
        call    next_word
        jc      .done
        call    is_program_name
        jc      .skipped
        mov     esi, ebx
.skipped:
        mov     [line_rest], esi
        mov     byte [line_is_script], 1
.done:  popad
        ret

; EBX, ECX: the first word of the loader's command line. Carry when it is the name of this program:
; a path, a file name or the plain name.
is_program_name:
        pushad
        mov     edi, .name
        call    compare_name
        je      .yes
.next:  mov     al, [ebx]
        cmp     al, '/'
        je      .yes
        cmp     al, ';'                 ; the end of a first command
        je      .no
        inc     ebx
        dec     ecx
        jnz     .next
        sub     ebx, 4
        cmp     dword [ebx], ".bin"
        je      .yes
.no:    popad
        clc
        ret
.yes:   popad
        stc
        ret

        section .data
.name:  db      "monitor", 0

        section .text
do_repeat:
        call    required_number
        mov     edx, eax
        call    skip_spaces
        cmp     byte [esi], 0
        je      fail_usage
        push    esi
        call    next_word
        mov     edi, .name
        call    compare_name
        pop     esi
        je      fail_usage
        mov     edi, repeat_text
        mov     ecx, COMMAND_BYTES      ; no longer than the command it is part of
.copy:  lodsb
        stosb
        test    al, al
        loopnz  .copy
        mov     [repeat_left], edx
        ret

        section .data
.name:  db      "repeat", 0

        section .text
