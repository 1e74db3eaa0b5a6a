/* The sample's client in C: writes to the file that its argument names, and has the server finish it.
 * Its calls are marshalled by the proxy DLL. The exit code tells which step failed. */
#include "sparkle.h"

static const char LINES[] = "Loading dishes.\nLoading detergent.\nPre-washing.\nRinsing.\nWashing.\nRinsing.\n";

static int failed(int step, const char *what, HRESULT result) {
    printf("client in C: %s: 0x%08lx\n", what, (unsigned long)result);
    return step;
}

/* Prints the error information of the failed call, if the object supports it. */
static void explain(ISparkleFinisher *finisher) {
    ISupportErrorInfo *support = NULL;
    IErrorInfo *info = NULL;
    BSTR text = NULL;
    HRESULT result = finisher->lpVtbl->QueryInterface(finisher, &IID_ISupportErrorInfo, (void **)&support);
    if (FAILED(result)) {
        printf("client in C: errors aren't explained: 0x%08lx\n", (unsigned long)result);
        return;
    }
    result = ISupportErrorInfo_InterfaceSupportsErrorInfo(support, &IID_ISparkleFinisher);
    printf("client in C: errors are explained: 0x%08lx\n", (unsigned long)result);
    if (GetErrorInfo(0, &info) == S_OK && SUCCEEDED(IErrorInfo_GetDescription(info, &text)))
        printf("client in C: because: %ls\n", text);
    else
        printf("client in C: the explanation didn't come\n");
    ISupportErrorInfo_Release(support);
}

/* With a second argument, the file is opened without write access, so the server refuses it. */
int wmain(int count, wchar_t **arguments) {
    if (count < 2) return failed(1, "which file?", 0);
    DWORD access = count > 2 ? GENERIC_READ : GENERIC_READ | GENERIC_WRITE;
    HANDLE file = CreateFileW(arguments[1], access, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                              OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE) return failed(2, "the file", GetLastError());
    HANDLE start = CreateEventW(NULL, FALSE, FALSE, NULL), done = NULL;
    HRESULT result = CoInitializeEx(NULL, COINIT_MULTITHREADED);
    if (FAILED(result)) return failed(3, "COM", result);

    ISparkleFinisher *finisher = NULL;
    result = CoCreateInstance(&CLSID_SparkleFinisher, NULL, CLSCTX_LOCAL_SERVER,
                              &IID_ISparkleFinisher, (void **)&finisher);
    if (FAILED(result)) return failed(4, "the activation", result);
    result = finisher->lpVtbl->AddSparkleFinishToFile(finisher, file, start, &done);
    if (FAILED(result)) {
        explain(finisher);
        return failed(5, "the call", result);
    }

    DWORD written = 0;
    if (!WriteFile(file, LINES, sizeof LINES - 1, &written, NULL) || written != sizeof LINES - 1)
        return failed(6, "the lines", GetLastError());
    SetEvent(start);
    DWORD waited = WaitForSingleObject(done, PATIENCE_MS);
    if (waited != WAIT_OBJECT_0) return failed(7, "the wait for the server", waited);
    printf("client in C: everything is sparkly!\n");
    finisher->lpVtbl->Release(finisher);
    CloseHandle(done);
    CloseHandle(start);
    CloseHandle(file);
    return 0;
}
