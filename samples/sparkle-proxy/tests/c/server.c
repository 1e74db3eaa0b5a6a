/* The sample's server in C, which COM starts. Calls to it are unmarshalled by the proxy DLL. */
#include "sparkle.h"

static const char LINES[] = "Dispensing sparkle finisher.\nRinsing.\nDrying.\nSparkly!\n";

/* Number of objects, locks and running threads, and the event that is set when it decreases. */
static LONG busy;
static HANDLE changed;

static void begin(void) {
    InterlockedIncrement(&busy);
}

static void end(void) {
    InterlockedDecrement(&busy);
    SetEvent(changed);
}

typedef struct {
    ISparkleFinisher face;
    LONG references;
} Finisher;

typedef struct {
    HANDLE file, start, done;
} Work;

static DWORD WINAPI finish(void *argument) {
    Work *work = argument;
    DWORD written;
    if (WaitForSingleObject(work->start, PATIENCE_MS) == WAIT_OBJECT_0 &&
        WriteFile(work->file, LINES, sizeof LINES - 1, &written, NULL))
        SetEvent(work->done);
    CloseHandle(work->file);
    CloseHandle(work->start);
    CloseHandle(work->done);
    free(work);
    end();
    return 0;
}

/* COM closes the handles of a call when it returns, so the server keeps duplicates. */
static HANDLE duplicate(HANDLE handle) {
    HANDLE own = NULL, process = GetCurrentProcess();
    DuplicateHandle(process, handle, process, &own, 0, FALSE, DUPLICATE_SAME_ACCESS);
    return own;
}

static HRESULT STDMETHODCALLTYPE finisher_query(ISparkleFinisher *this, REFIID iid, void **object) {
    *object = NULL;
    if (!IsEqualIID(iid, &IID_IUnknown) && !IsEqualIID(iid, &IID_ISparkleFinisher))
        return E_NOINTERFACE;
    this->lpVtbl->AddRef(this);
    *object = this;
    return S_OK;
}

static ULONG STDMETHODCALLTYPE finisher_add_ref(ISparkleFinisher *this) {
    return InterlockedIncrement(&((Finisher *)this)->references);
}

static ULONG STDMETHODCALLTYPE finisher_release(ISparkleFinisher *this) {
    LONG left = InterlockedDecrement(&((Finisher *)this)->references);
    if (left == 0) {
        free(this);
        end();
    }
    return left;
}

static HRESULT STDMETHODCALLTYPE add_sparkle_finish(ISparkleFinisher *this, HANDLE file, HANDLE start,
                                                    HANDLE *done) {
    (void)this;
    Work *work = calloc(1, sizeof *work);
    *done = NULL;
    if (work == NULL) return E_OUTOFMEMORY;
    work->file = duplicate(file);
    work->start = duplicate(start);
    work->done = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (!work->file || !work->start || !work->done) return E_HANDLE;
    *done = duplicate(work->done);
    begin();
    CloseHandle(CreateThread(NULL, 0, finish, work, 0, NULL));
    return S_OK;
}

static const ISparkleFinisherVtbl FINISHER = {finisher_query, finisher_add_ref, finisher_release,
                                              add_sparkle_finish};

static HRESULT STDMETHODCALLTYPE factory_query(IClassFactory *this, REFIID iid, void **object) {
    *object = NULL;
    if (!IsEqualIID(iid, &IID_IUnknown) && !IsEqualIID(iid, &IID_IClassFactory))
        return E_NOINTERFACE;
    *object = this;
    return S_OK;
}

static ULONG STDMETHODCALLTYPE factory_count(IClassFactory *this) {
    (void)this;
    return 2;
}

static HRESULT STDMETHODCALLTYPE factory_create(IClassFactory *this, IUnknown *outer, REFIID iid,
                                                void **object) {
    (void)this;
    *object = NULL;
    if (outer != NULL) return CLASS_E_NOAGGREGATION;
    Finisher *finisher = calloc(1, sizeof *finisher);
    if (finisher == NULL) return E_OUTOFMEMORY;
    finisher->face.lpVtbl = &FINISHER;
    finisher->references = 1;
    begin();
    HRESULT result = finisher_query(&finisher->face, iid, object);
    finisher_release(&finisher->face);
    return result;
}

static HRESULT STDMETHODCALLTYPE factory_lock(IClassFactory *this, BOOL lock) {
    (void)this;
    lock ? begin() : end();
    return S_OK;
}

static const IClassFactoryVtbl FACTORY = {factory_query, factory_count, factory_count, factory_create,
                                          factory_lock};
static IClassFactory factory = {(IClassFactoryVtbl *)&FACTORY};

int main(void) {
    DWORD cookie;
    changed = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (FAILED(CoInitializeEx(NULL, COINIT_MULTITHREADED))) return 1;
    if (FAILED(CoRegisterClassObject(&CLSID_SparkleFinisher, (IUnknown *)&factory,
                                     CLSCTX_LOCAL_SERVER, REGCLS_MULTIPLEUSE, &cookie)))
        return 2;
    /* Exits after 5 seconds without objects and work. */
    while (WaitForSingleObject(changed, 5000) == WAIT_OBJECT_0 || busy > 0) {
    }
    CoRevokeClassObject(cookie);
    ExitProcess(0);
}
