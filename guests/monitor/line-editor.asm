; Reads a line at the prompt: echo, backspace, Ctrl-U, Ctrl-C, and the arrows up and down for the
; lines before. Only the characters themselves and backspaces go out, so it works on the plainest
; terminal.

LINE_BYTES      equ 256                 ; with the zero at the end
HISTORY_LINES   equ 8                   ; a power of two

BELL            equ 7
BACKSPACE       equ 8
CTRL_U          equ 21
ESCAPE          equ 27
DELETE          equ 127

        section .bss
line_text:      resb LINE_BYTES
history:        resb HISTORY_LINES * LINE_BYTES
history_count:  resd 1                  ; lines ever put there
history_back:   resd 1                  ; how many lines back the arrows have gone
after_cr:       resb 1                  ; a line feed right after a carriage return is no line of its own

        section .text
; Fills line_text. Carry when Ctrl-C ended it.
read_line:
        pushad
        mov     dword [history_back], 0
        xor     ecx, ecx                ; characters so far
.key:   call    get_key
        mov     ah, [after_cr]
        mov     byte [after_cr], 0
        cmp     al, CR
        je      .enter
        cmp     al, LF
        je      .line_feed
        cmp     al, CTRL_C
        je      .ctrl_c
        cmp     al, CTRL_U
        je      .erase_line
        cmp     al, BACKSPACE
        je      .erase
        cmp     al, DELETE
        je      .erase
        cmp     al, ESCAPE
        je      .escape
        cmp     al, ' '
        jb      .key
        cmp     al, '~'
        ja      .key
        cmp     ecx, LINE_BYTES - 1
        je      .full
        mov     [line_text + ecx], al
        inc     ecx
        call    put_char
        jmp     .key
.full:  mov     al, BELL
        call    put_char
        jmp     .key
.erase: call    erase_one
        jmp     .key
.erase_line:
        call    erase_all
        jmp     .key
.escape:
        call    get_key                 ; an arrow is ESC [ and a letter
        cmp     al, CTRL_C
        je      .ctrl_c
        cmp     al, '['
        jne     .key
        call    get_key
        cmp     al, CTRL_C
        je      .ctrl_c
        cmp     al, 'A'
        je      .older
        cmp     al, 'B'
        jne     .key
        mov     eax, [history_back]
        sub     eax, 1
        jc      .key
        jmp     .show
.older: mov     eax, [history_back]
        inc     eax
.show:  call    recall
        jmp     .key
.line_feed:
        test    ah, ah
        jnz     .key
        jmp     .end
.enter: mov     byte [after_cr], 1
.end:   mov     byte [line_text + ecx], 0
        call    new_line
        call    remember
        popad
        clc
        ret
.ctrl_c:
        print   "^C", CR, LF
        popad
        stc
        ret

; ECX: length of the line, one less afterwards unless it was empty.
erase_one:
        jecxz   .done
        dec     ecx
        print   BACKSPACE, " ", BACKSPACE
.done:  ret

; ECX: length of the line, zero afterwards.
erase_all:
        jecxz   .done
        call    erase_one
        jmp     erase_all
.done:  ret

; EAX: which line before to show, 1 the last, 0 none; ECX: length of the line, the new one
; afterwards.
recall:
        cmp     eax, HISTORY_LINES
        ja      .no
        cmp     eax, [history_count]
        ja      .no
        push    eax
        push    esi
        mov     [history_back], eax
        call    erase_all
        test    eax, eax
        jz      .done
        mov     esi, [history_count]
        sub     esi, eax
        call    history_line
.next:  mov     al, [esi]
        test    al, al
        jz      .done
        mov     [line_text + ecx], al
        inc     esi
        inc     ecx
        call    put_char
        jmp     .next
.done:  pop     esi
        pop     eax
        ret
.no:    push    eax
        mov     al, BELL
        call    put_char
        pop     eax
        ret

; ESI: number of a line in the history; its address afterwards.
history_line:
        and     esi, HISTORY_LINES - 1
        imul    esi, LINE_BYTES
        add     esi, history
        ret

; ECX: length of line_text. Keeps the line, unless it is empty or the same as the last one.
remember:
        pushad
        jecxz   .done
        inc     ecx                     ; the zero too
        mov     edx, ecx
        mov     esi, [history_count]
        test    esi, esi
        jz      .keep
        dec     esi
        call    history_line
        mov     edi, line_text
        repe cmpsb
        je      .done
.keep:  mov     esi, [history_count]
        inc     dword [history_count]
        call    history_line
        mov     edi, esi
        mov     esi, line_text
        mov     ecx, edx
        rep movsb
.done:  popad
        ret
