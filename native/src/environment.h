// The JavaScript environment (the main thread's or a worker's) that has loaded the addon. It gives all
// other files of this folder exceptions, and tasks that run on the JavaScript thread.
#pragma once

#include <node_api.h>

#include <mutex>

namespace host {

// A task for the JavaScript thread. The queue does not own it.
class Task {
 public:
  virtual ~Task() = default;
  virtual void Run() = 0;
};

class Environment {
 public:
  explicit Environment(napi_env napi) : napi_(napi) {}
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  bool Initialize();

  napi_env napi() const { return napi_; }

  // False once the environment is being torn down: from then on nothing of it may be used. The object
  // itself is never freed, since librdkafka's threads may keep a pointer to it for longer.
  bool alive() const { return alive_; }

  // Any thread. Tasks run in the order they were posted; those of a dead environment are dropped.
  void Post(Task* task);

  // JavaScript thread: while anything is referenced, the event loop does not end.
  void Ref();
  void Unref();

 private:
  friend class Entry;
  friend void Park(napi_value exception);

  static void RunTask(napi_env napi, napi_value, void* environment, void* task);
  static void Shutdown(void* environment);

  napi_env napi_;
  napi_threadsafe_function queue_ = nullptr;
  int references_ = 0;
  int depth_ = 0;                   // The number of open entries.
  napi_value exception_ = nullptr;  // The exception that the innermost entry has parked.
  std::mutex mutex_;                // Must be held to use queue_ on any other thread.
  bool alive_ = true;
};

// The environment that this thread runs JavaScript for. constinit spares a check on every access.
extern constinit thread_local Environment* current_environment;

inline napi_env Napi() { return current_environment->napi(); }

// One entry into native code: a method, a posted task, a finalizer.
//
// With an exception pending, any further call of Node-API fails, whereas code written for V8 goes
// on working with values after it has thrown. So an exception is parked when it occurs, and thrown
// when the entry is left: by Throw() into the calling JavaScript, by Report() as an uncaught one,
// where the caller is the event loop.
class Entry {
 public:
  explicit Entry(Environment* environment);
  ~Entry();
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  // Runs a function, parking what it throws in C++ as a JavaScript error.
  template <class Function>
  void Guard(Function&& function) {
    try {
      function();
    } catch (...) {
      ParkCurrentException();
    }
  }

  // Returns whether there was an exception.
  bool Throw();
  void Report();

 private:
  static void ParkCurrentException();

  Environment* environment_;
  Environment* outer_environment_;
  napi_value outer_exception_;
};

// The first exception wins, as the later ones are mostly its consequences.
void Park(napi_value exception);
// Parks the exception that is pending after a failed call. Always returns false.
bool ParkPending();

inline bool Succeeded(napi_status status) { return status == napi_ok ? true : ParkPending(); }

// Calls a JavaScript function from the event loop, where no JavaScript could catch its exceptions.
void ReportUncaught(napi_value exception);

// Thrown where V8 would abort the process: FromJust() and ToLocalChecked() on nothing.
struct EmptyHandle {};

}  // namespace host
